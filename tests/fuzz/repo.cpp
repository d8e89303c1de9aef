// A reference to a repository, as anybody can type it.
#include "fuzz.hpp"

#include "latchkey/repo.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr repo::Host hosts[] = {
      {repo::Provider::github, "github.com", {}, false},
      {repo::Provider::gitlab, "git.example", "/gitlab", false},
      {repo::Provider::bitbucket, "bitbucket.org", {}, false},
      {repo::Provider::git, "127.0.0.1:9000", {}, true},
  };
  const Octets text(data, data + size);
  Octets space(repo::max_canonical);
  const auto read = repo::parse(text_of(text), hosts, space);
  if (!read) {
    LK_CHECK(read.error() == Errc::repo_invalid || read.error() == Errc::repo_host_not_allowed);
    return 0;
  }
  LK_CHECK(is_inside(read->clone_url, space) && is_inside(read->owner, space));
  LK_CHECK(repo::is_segment(read->name) && !read->owner.empty());
  bool known = false;
  for (const repo::Host& host : hosts) known = known || host.host == read->host;
  LK_CHECK(known);
  // The canonical form is a fixed point.
  Octets again_space(repo::max_canonical);
  const auto again = repo::parse(read->clone_url, hosts, again_space);
  LK_CHECK(again && again->clone_url == read->clone_url && again->provider == read->provider);
  return 0;
}
