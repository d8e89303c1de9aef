#include "latchkey/upstream.hpp"

#include "latchkey/url.hpp"

#include <algorithm>

namespace latchkey::upstream {
namespace {

constexpr std::string_view api_host = "api.github.com";
constexpr std::uint32_t max_hops = 5;

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool equal_names(std::string_view any, std::string_view canonical, bool fold) noexcept {
  if (!fold) return any == canonical;
  return std::equal(any.begin(), any.end(), canonical.begin(), canonical.end(),
                    [](char a, char b) { return to_lower(a) == b; });
}

/// A git request: how it ends, and what it takes.
struct GitRequest {
  std::string_view method;
  std::string_view tail;
  std::string_view query;
  Right right;
};
constexpr GitRequest git_requests[] = {
    {"GET", "/info/refs", "service=git-upload-pack", Right::fetch},
    {"GET", "/info/refs", "service=git-receive-pack", Right::push},
    {"POST", "/git-upload-pack", {}, Right::fetch},
    {"POST", "/git-receive-pack", {}, Right::push},
    {"POST", "/info/lfs/objects/batch", {}, Right::lfs},
    {"POST", "/info/lfs/locks/verify", {}, Right::push},
};

/// A request to the API below `/repos/owner/name/`; `#` stands for a number.
struct ApiRequest {
  std::string_view methods;
  std::string_view path;
  Right right;
};
constexpr ApiRequest api_requests[] = {
    {"GET HEAD", "pulls/#", Right::read},         {"GET HEAD", "pulls/#/comments", Right::read},
    {"GET HEAD", "pulls/#/reviews", Right::read}, {"GET HEAD", "issues/#/comments", Right::read},
    {"POST", "issues/#/comments", Right::write},  {"POST", "pulls/#/reviews", Right::write},
    {"PATCH", "issues/comments/#", Right::write},
};

/// Reads 1..10 digits without a leading zero.
std::size_t number_size(std::string_view text) noexcept {
  std::size_t size = 0;
  while (size < text.size() && text[size] >= '0' && text[size] <= '9') ++size;
  return size == 0 || size > 10 || text.front() == '0' ? 0 : size;
}

bool matches(std::string_view path, std::string_view pattern) noexcept {
  for (const char c : pattern) {
    if (c == '#') {
      const std::size_t size = number_size(path);
      if (size == 0) return false;
      path.remove_prefix(size);
    } else {
      if (!path.starts_with(c)) return false;
      path.remove_prefix(1);
    }
  }
  return path.empty();
}

bool has_word(std::string_view words, std::string_view word) noexcept {
  while (!words.empty()) {
    const auto end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

/// `page` and `per_page`, each at most once.
bool is_page_query(std::string_view query) noexcept {
  bool page = false;
  bool size = false;
  while (!query.empty()) {
    bool& seen = query.starts_with("per_page=") ? size : page;
    const std::string_view name = &seen == &size ? "per_page=" : "page=";
    if (seen || !query.starts_with(name)) return false;
    seen = true;
    query.remove_prefix(name.size());
    const std::size_t digits = number_size(query);
    if (digits == 0) return false;
    query.remove_prefix(digits);
    if (query.empty()) return true;
    if (query.front() != '&' || query.size() == 1) return false;
    query.remove_prefix(1);
  }
  return false;
}

bool is_plain_path(std::string_view path) noexcept {
  if (!path.starts_with('/') || path.find('%') != std::string_view::npos) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    const auto segment = path.substr(0, end);
    if (segment.empty() || segment == "." || segment == "..") return false;
    path.remove_prefix(end);
  }
  return true;
}

struct Parts {
  std::string_view path;
  std::string_view query;
  bool has_query{false};
};

Parts split(std::string_view path) noexcept {
  const auto mark = path.find('?');
  if (mark == std::string_view::npos) return {path, {}, false};
  return {path.substr(0, mark), path.substr(mark + 1), true};
}

/// True for `/owner/name` of some repository: two segments or more.
bool is_repository(std::string_view path) noexcept {
  std::size_t count = 0;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    if (!repo::is_segment(path.substr(0, end))) return false;
    path.remove_prefix(end);
    ++count;
  }
  return count >= 2;
}

bool is_own(std::string_view path, const repo::Repo& repo) noexcept {
  const bool fold = repo::ignores_case(repo.provider);
  if (!path.starts_with(repo.base)) return false;
  path.remove_prefix(repo.base.size());
  if (path.size() < repo.owner.size() + 2 || path.front() != '/') return false;
  if (!equal_names(path.substr(1, repo.owner.size()), repo.owner, fold)) return false;
  path.remove_prefix(1 + repo.owner.size());
  if (path.front() != '/') return false;
  path.remove_prefix(1);
  if (path.ends_with(".git")) path.remove_suffix(4);
  return equal_names(path, repo.name, fold);
}

Result<Right> check_git(const repo::Repo& repo, std::string_view method,
                        const Parts& parts) noexcept {
  for (const GitRequest& request : git_requests) {
    if (request.method != method || !parts.path.ends_with(request.tail) ||
        request.query != parts.query || parts.has_query == request.query.empty()) {
      continue;
    }
    const auto path = parts.path.substr(0, parts.path.size() - request.tail.size());
    if (!is_repository(path)) break;
    if (!is_own(path, repo)) return Errc::repository_mismatch;
    return request.right;
  }
  return Errc::upstream_request_invalid;
}

Result<Right> check_api(const repo::Repo& repo, std::string_view method,
                        const Parts& parts) noexcept {
  constexpr std::string_view repos = "/repos";
  if (!parts.path.starts_with("/repos/")) return Errc::upstream_request_invalid;
  const auto path = parts.path.substr(repos.size());
  const auto owner_end = path.find('/', 1);
  const auto name_end =
      owner_end == std::string_view::npos ? owner_end : path.find('/', owner_end + 1);
  if (name_end == std::string_view::npos) return Errc::upstream_request_invalid;
  const auto rest = path.substr(name_end + 1);
  for (const ApiRequest& request : api_requests) {
    if (!has_word(request.methods, method) || !matches(rest, request.path)) continue;
    if (parts.has_query && (method != "GET" || !is_page_query(parts.query))) break;
    const auto own = path.substr(0, name_end);
    // The API knows no `.git`: a name that ends so is another repository.
    if (own.ends_with(".git") || !is_own(own, repo)) return Errc::repository_mismatch;
    return request.right;
  }
  return Errc::upstream_request_invalid;
}

bool is_at(const url::Url& url, std::string_view host, bool plain) noexcept {
  if (url.https == plain) return false;
  const auto authority = url.origin.substr(plain ? 7 : 8);
  if (authority == host) return true;
  const std::string_view usual_port = plain ? ":80" : ":443";
  return authority.size() == host.size() + usual_port.size() && authority.starts_with(host) &&
         authority.ends_with(usual_port);
}

}  // namespace

Result<Right> check(const repo::Repo& repo, std::string_view method,
                    std::string_view url) noexcept {
  const auto read = url::parse(url);
  if (!read) return Errc::upstream_url_invalid;
  const Parts parts = split(read->path);
  if (!is_plain_path(parts.path)) return Errc::upstream_url_invalid;
  if (repo.host.empty() || (repo.plain && !url::is_loopback_host(repo.host))) {
    return Errc::upstream_host_not_allowed;
  }
  if (is_at(*read, repo.host, repo.plain)) return check_git(repo, method, parts);
  const bool has_api = repo.provider == repo::Provider::github && repo.host == "github.com";
  if (has_api && is_at(*read, api_host, false)) return check_api(repo, method, parts);
  return Errc::upstream_host_not_allowed;
}

Result<Right> redirect(const repo::Repo& repo, std::string_view method, std::string_view from,
                       std::string_view to, std::uint32_t hop) noexcept {
  const auto before = check(repo, method, from);
  if (!before) return before;
  const auto after = check(repo, method, to);
  if (!after) return after;
  // Both have been read before.
  if (url::parse(from)->host != url::parse(to)->host || hop < 1 || hop > max_hops) {
    return Errc::upstream_host_not_allowed;
  }
  if (*before != *after) return Errc::upstream_request_invalid;
  return after;
}

Right lfs_right(MutBytes body, std::span<json::Node> nodes) noexcept {
  if (body.size() > max_lfs_body) return Right::push;
  const auto root = json::parse(body, nodes);
  if (!root || !root->is(json::Kind::object)) return Right::push;
  return root->member("operation").text() == "download" ? Right::fetch : Right::push;
}

}  // namespace latchkey::upstream
