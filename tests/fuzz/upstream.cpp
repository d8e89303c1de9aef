// A request that would carry a credential.
#include "fuzz.hpp"

#include "latchkey/upstream.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr repo::Repo repos[] = {
      {repo::Provider::github, "github.com", {}, "octo", "hello", {}, false},
      {repo::Provider::gitlab, "git.example", "/gitlab", "group/sub", "app", {}, false},
      {repo::Provider::git, "127.0.0.1:9000", {}, "A", "B", {}, true},
  };
  constexpr std::string_view prefixes[] = {"https://github.com/", "https://api.github.com/",
                                           "https://git.example/gitlab/", "http://127.0.0.1:9000/"};
  Input input{data, size};
  const repo::Repo& repo = repos[input.byte() % std::size(repos)];
  const Octets method = input.text();
  Octets url = input.text();
  const Octets to = input.text();
  Octets body = input.rest();
  const auto right = upstream::check(repo, text_of(method), text_of(url));
  if (right) {
    // What is allowed begins with an origin of that repository and has nothing encoded in it.
    bool known = false;
    for (const auto prefix : prefixes) known = known || text_of(url).starts_with(prefix);
    known = known || text_of(url).find(":443/") != std::string_view::npos;
    LK_CHECK(known && text_of(url).find('%') == std::string_view::npos);
    LK_CHECK(text_of(url).find("..") == std::string_view::npos || repo.name.find("..") == 0);
  }
  const auto next = upstream::redirect(repo, text_of(method), text_of(url), text_of(to), 1);
  LK_CHECK(!next || (right && *next == *right));
  json::Node nodes[64];
  static_cast<void>(upstream::lfs_right(body, nodes));
  return 0;
}
