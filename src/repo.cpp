#include "latchkey/repo.hpp"

#include "latchkey/url.hpp"

#include <algorithm>

namespace latchkey::repo {
namespace {

constexpr std::string_view git_suffix = ".git";
constexpr std::size_t max_segment = 100;
constexpr std::size_t max_segments = 21;  // GitLab: twenty groups and a project

constexpr Host usual[] = {
    {Provider::github, "github.com", {}, false},
    {Provider::gitlab, "gitlab.com", {}, false},
    {Provider::bitbucket, "bitbucket.org", {}, false},
};

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool equal_lower(std::string_view any, std::string_view lower) noexcept {
  return std::equal(any.begin(), any.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return to_lower(a) == b; });
}

/// True for what could be a host with a port: everything else is no reference at all.
bool is_hostlike(std::string_view text) noexcept {
  if (text.empty() || text.front() == '.' || text.front() == ':') return false;
  char before = ' ';
  for (const char c : text) {
    const char lower = to_lower(c);
    const bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == ':' || c == '[' || c == ']';
    if (!plain || (c == '.' && before == '.')) return false;
    before = c;
  }
  return before != '.' && before != ':';
}

std::string_view without_port(std::string_view host) noexcept {
  const auto colon = host.rfind(':');
  return colon == std::string_view::npos || host.ends_with(']') ? host : host.substr(0, colon);
}

bool takes_scheme(const Host& host, bool plain) noexcept {
  return host.plain == plain && (!plain || url::is_loopback_host(host.host));
}

/// Takes `prefix` off `path` where a segment ends behind it.
bool take_base(std::string_view& path, std::string_view prefix) noexcept {
  if (!path.starts_with(prefix)) return false;
  if (path.size() > prefix.size() && path[prefix.size()] != '/') return false;
  path.remove_prefix(prefix.size());
  return true;
}

/// What a reference names: a host, and what is left of its path.
struct Reading {
  const Host* host{nullptr};
  std::string_view path;
  Errc error{Errc::repo_invalid};
};

Reading read_url(std::string_view text, bool plain, std::span<const Host> hosts) noexcept {
  Reading out;
  text = text.substr(0, text.find_first_of("?#"));
  const auto slash = std::min(text.find('/'), text.size());
  auto authority = text.substr(0, slash);
  if (!is_hostlike(authority)) return out;
  const std::string_view usual_port = plain ? ":80" : ":443";
  if (authority.ends_with(usual_port)) authority.remove_suffix(usual_port.size());
  out.error = Errc::repo_host_not_allowed;
  // The longest base path that fits is the host that is meant.
  for (const Host& host : hosts) {
    auto path = text.substr(slash);
    if (!takes_scheme(host, plain) || !equal_lower(authority, host.host) ||
        !take_base(path, host.base)) {
      continue;
    }
    if (out.host != nullptr && out.host->base.size() >= host.base.size()) continue;
    out.host = &host;
    out.path = path;
  }
  return out;
}

/// A host named over SSH is the one whose name is configured once: its port there says nothing
/// about the one for https.
Reading read_ssh(std::string_view authority, std::string_view path,
                 std::span<const Host> hosts) noexcept {
  Reading out;
  constexpr std::string_view user = "git@";
  if (!authority.starts_with(user) || !is_hostlike(authority.substr(user.size()))) return out;
  const auto name = without_port(authority.substr(user.size()));
  out.error = Errc::repo_host_not_allowed;
  std::size_t count = 0;
  for (const Host& host : hosts) {
    if (host.plain || !equal_lower(name, without_port(host.host))) continue;
    out.host = &host;
    ++count;
  }
  if (count != 1) out.host = nullptr;
  out.path = path;
  return out;
}

Reading read_reference(std::string_view text, std::span<const Host> hosts) noexcept {
  constexpr std::string_view https = "https://";
  constexpr std::string_view http = "http://";
  constexpr std::string_view ssh = "ssh://";
  if (text.starts_with(https)) return read_url(text.substr(https.size()), false, hosts);
  if (text.starts_with(http)) return read_url(text.substr(http.size()), true, hosts);
  if (text.starts_with(ssh)) {
    text.remove_prefix(ssh.size());
    const auto slash = std::min(text.find('/'), text.size());
    return read_ssh(text.substr(0, slash), text.substr(slash), hosts);
  }
  const auto colon = text.find(':');
  if (colon != std::string_view::npos) {
    return read_ssh(text.substr(0, colon), text.substr(colon + 1), hosts);
  }
  Reading out;
  if (std::count(text.begin(), text.end(), '/') != 1) return out;
  out.error = Errc::repo_host_not_allowed;
  out.path = text;
  for (const Host& host : hosts) {
    if (host.provider == Provider::github && host.host == usual[0].host) out.host = &host;
  }
  return out;
}

/// Segments of a path; a slash in front does not matter.
struct Segments {
  std::string_view list[max_segments + 1];
  std::size_t count{0};
};

bool read_segments(std::string_view path, Segments& out) noexcept {
  if (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    if (out.count > max_segments) return false;
    const auto end = std::min(path.find('/'), path.size());
    out.list[out.count++] = path.substr(0, end);
    path.remove_prefix(end);
    if (path.size() == 1) return false;
    if (!path.empty()) path.remove_prefix(1);
  }
  return true;
}

/// How many segments are the repository; the others are a page of it.
std::size_t own_segments(Provider provider, const Segments& path) noexcept {
  switch (provider) {
  case Provider::github:
  case Provider::bitbucket: return std::min<std::size_t>(path.count, 2);
  case Provider::gitlab:
    return static_cast<std::size_t>(
        std::find(path.list, path.list + path.count, std::string_view{"-"}) - path.list);
  case Provider::git: return path.count;
  }
  return 0;
}

}  // namespace

std::span<const Host> usual_hosts() noexcept { return usual; }

bool is_segment(std::string_view text) noexcept {
  if (text.empty() || text.size() > max_segment || text == "." || text == ".." || text == "-") {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    const char lower = to_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

bool ignores_case(Provider provider) noexcept { return provider != Provider::git; }

Result<Repo> parse(std::string_view text, std::span<const Host> hosts, MutBytes out) noexcept {
  if (text.size() > max_text || hosts.size() > max_hosts) return Errc::repo_invalid;
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '\\' || c == '%') return Errc::repo_invalid;
  }
  const Reading reading = read_reference(text, hosts);
  if (reading.host == nullptr) return reading.error;
  const Host& host = *reading.host;

  Segments path;
  if (!read_segments(reading.path, path)) return Errc::repo_invalid;
  const std::size_t own = own_segments(host.provider, path);
  if (own < 2 || own > max_segments) return Errc::repo_invalid;
  // Who resolves dot segments would read another repository.
  const auto is_dots = [](std::string_view segment) noexcept {
    return segment == "." || segment == "..";
  };
  if (std::any_of(path.list + own, path.list + path.count, is_dots)) return Errc::repo_invalid;
  std::string_view& last = path.list[own - 1];
  const bool fold = ignores_case(host.provider);
  if (last.size() > git_suffix.size() &&
      (fold ? equal_lower(last.substr(last.size() - git_suffix.size()), git_suffix)
            : last.ends_with(git_suffix))) {
    last.remove_suffix(git_suffix.size());
  }

  Writer url{out};
  url.put(std::string_view{host.plain ? "http://" : "https://"});
  url.put(host.host);
  url.put(host.base);
  const std::size_t owner_at = url.size() + 1;
  std::size_t name_at = owner_at;
  for (std::size_t i = 0; i < own; ++i) {
    const auto segment = path.list[i];
    if (!is_segment(segment) ||
        (segment.size() >= git_suffix.size() &&
         equal_lower(segment.substr(segment.size() - git_suffix.size()), git_suffix))) {
      return Errc::repo_invalid;
    }
    url.put('/');
    name_at = url.size();
    for (const char c : segment) url.put(static_cast<std::uint8_t>(fold ? to_lower(c) : c));
  }
  const std::size_t end = url.size();
  url.put(git_suffix);
  if (url.overflow()) return Errc::output_too_small;
  const auto whole = text_of(url.written());
  return Repo{host.provider,
              host.host,
              host.base,
              whole.substr(owner_at, name_at - owner_at - 1),
              whole.substr(name_at, end - name_at),
              whole,
              host.plain};
}

}  // namespace latchkey::repo
