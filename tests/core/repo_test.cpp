#include "support.hpp"

#include "latchkey/repo.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace latchkey;
using namespace latchkey::repo;

namespace {

constexpr Host own[] = {
    {Provider::github, "github.com", {}, false},
    {Provider::gitlab, "git.example", "/gitlab", false},
    {Provider::gitlab, "git.example", "/gitlab/old", false},
    {Provider::bitbucket, "bitbucket.org", {}, false},
    {Provider::git, "code.example:8443", {}, false},
    {Provider::git, "127.0.0.1:9000", {}, true},
    {Provider::git, "far.example", {}, true},
};

std::string read(std::string_view text, std::span<const Host> hosts = usual_hosts()) {
  const auto exact = test::octets(text);
  test::Octets space(max_canonical);
  const auto repo = parse(text_of(exact), hosts, space);
  if (!repo) return test::name(repo);
  const std::string inside = std::string{repo->owner} + "/" + std::string{repo->name};
  const std::string url = std::string{repo->plain ? "http://" : "https://"} +
                          std::string{repo->host} + std::string{repo->base} + "/" + inside + ".git";
  CHECK(url == repo->clone_url);
  // The canonical form is a fixed point.
  test::Octets again_space(max_canonical);
  const auto again = parse(repo->clone_url, hosts, again_space);
  REQUIRE(again);
  CHECK(again->clone_url == repo->clone_url);
  CHECK(again->provider == repo->provider);
  return std::string{repo->clone_url};
}

constexpr std::string_view octo = "https://github.com/octo/hello.git";

}  // namespace

TEST_CASE("T25 repo: every form of one repository has one canonical form") {
  for (const std::string_view text :
       {"https://github.com/octo/hello", "https://github.com/octo/hello.git",
        "https://github.com/Octo/Hello.GIT", "https://GitHub.com/octo/hello/",
        "https://github.com:443/octo/hello", "https://github.com/octo/hello?tab=readme#top",
        "https://github.com/octo/hello/tree/main/src", "  https://github.com/octo/hello\t",
        "git@github.com:octo/hello.git", "git@github.com:octo/hello", "git@github.com:/octo/hello",
        "ssh://git@github.com/octo/hello.git", "ssh://git@github.com:22/octo/hello", "octo/hello",
        "octo/hello.git", "Octo/HELLO"}) {
    CAPTURE(text);
    CHECK(read(text) == octo);
  }
  CHECK(read("https://gitlab.com/a/b/c/d") == "https://gitlab.com/a/b/c/d.git");
  CHECK(read("https://gitlab.com/a/b/-/issues/1") == "https://gitlab.com/a/b.git");
  CHECK(read("git@gitlab.com:a/b/c.git") == "https://gitlab.com/a/b/c.git");
  CHECK(read("https://bitbucket.org/Team/App/src/main") == "https://bitbucket.org/team/app.git");
  CHECK(read("https://git.example/gitlab/Group/Sub/App.git", own) ==
        "https://git.example/gitlab/group/sub/app.git");
  CHECK(read("https://git.example/gitlab/old/group/app", own) ==
        "https://git.example/gitlab/old/group/app.git");
  CHECK(read("https://code.example:8443/Team/App", own) ==
        "https://code.example:8443/Team/App.git");
  CHECK(read("git@code.example:Team/App", own) == "https://code.example:8443/Team/App.git");
  CHECK(read("http://127.0.0.1:9000/a/b", own) == "http://127.0.0.1:9000/a/b.git");
  CHECK(read("https://github.com/octo/.github") == "https://github.com/octo/.github.git");
}

TEST_CASE("T25 threat T28 repo: look-alikes, user info, dot names and three parts are refused") {
  for (const std::string_view text :
       {"https://evilgithub.com/o/r", "https://github.com.evil/o/r", "https://x.com/github.com/o/r",
        "https://github.com:444/o/r", "https://gist.github.com/o/r", "git@github.com.evil:o/r",
        "git@evilgithub.com:o/r", "https://github.co/o/r", "http://github.com/o/r"}) {
    CAPTURE(text);
    CHECK(read(text) == "repo_host_not_allowed");
  }
  for (const std::string_view text : {"",
                                      " ",
                                      "o",
                                      "o/",
                                      "/r",
                                      "o/r/x",
                                      "evilgithub.com/o/r",
                                      "x.com/github.com/o/r",
                                      "github.com/o/r",
                                      "u:p@github.com/o/r",
                                      "https://u:p@github.com/o/r",
                                      "https://git@github.com/o/r",
                                      "o/..",
                                      "../r",
                                      "./r",
                                      "o/.",
                                      "o/-",
                                      "-/r",
                                      "https://github.com/o/..",
                                      "https://github.com/../r",
                                      "https://github.com/o/r/../x",
                                      "https://github.com/o/r/tree/./x",
                                      "https://gitlab.com/a/b/-/../c",
                                      "https://github.com/o",
                                      "https://github.com/",
                                      "https://github.com",
                                      "https://github.com//o/r",
                                      "https://github.com/o//r",
                                      "https:///o/r",
                                      "https://",
                                      "https://github.com./o/r",
                                      "https://.github.com/o/r",
                                      "https://github..com/o/r",
                                      "https://g\xc3\xaethub.com/o/r",
                                      "https://github.com/o/r\xc3\xa9",
                                      "https://github.com/o%2fr",
                                      "https://github.com/o/%2e%2e",
                                      "https://github.com\\@evil.example/o/r",
                                      "https://github.com/o\\r",
                                      "o/r.git.git",
                                      "https://github.com/o/.git",
                                      "https://github.com/o.git/r",
                                      "ssh://github.com/o/r",
                                      "ssh://root@github.com/o/r",
                                      "root@github.com:o/r",
                                      "git@:o/r",
                                      "git@github.com:o",
                                      "ssh://git@/o/r",
                                      "git+https://github.com/o/r",
                                      "file:///o/r",
                                      "javascript:a/b",
                                      "HTTPS://github.com/o/r",
                                      "o/r s",
                                      "o/r?x",
                                      "o/r#x",
                                      "https://github.com/o/r:x",
                                      "https://github.com:/o/r"}) {
    CAPTURE(text);
    CHECK(read(text) == "repo_invalid");
  }
  CHECK(read("https://git.example/gitlabx/g/a", own) == "repo_host_not_allowed");
  CHECK(read("https://git.example/g/a", own) == "repo_host_not_allowed");
  CHECK(read("git@git.example:g/a", own) == "repo_host_not_allowed");
  CHECK(read("http://far.example/a/b", own) == "repo_host_not_allowed");
  CHECK(read("https://127.0.0.1:9000/a/b", own) == "repo_host_not_allowed");
  CHECK(read("octo/hello", std::span{own}.subspan(1)) == "repo_host_not_allowed");
  CHECK(read("octo/hello", {}) == "repo_host_not_allowed");
  CHECK(read("https://github.com/o/" + std::string(101, 'r')) == "repo_invalid");
  CHECK(read("https://github.com/o/" + std::string(100, 'r')) != "repo_invalid");
  CHECK(read("https://gitlab.com" + [] {
          std::string groups;
          for (int i = 0; i < 22; ++i) groups += "/g";
          return groups;
        }()) == "repo_invalid");
  CHECK(read(std::string(1'025, 'a')) == "repo_invalid");
}

TEST_CASE("threat T28 repo: every control byte at every offset, raw and encoded") {
  for (const std::string_view good : {"https://github.com/octo/hello", "git@github.com:octo/hello",
                                      "octo/hello", "ssh://git@github.com/octo/hello"}) {
    for (std::size_t at = 0; at <= good.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        if (byte >= 0x20 && byte < 0x7f) continue;
        std::string raw{good};
        raw.insert(at, 1, static_cast<char>(byte));
        const bool blank = byte == '\t' && (at == 0 || at == good.size());
        if ((read(raw) == octo) != blank) CHECK((read(raw) == octo) == blank);
        constexpr std::string_view digits = "0123456789abcdef";
        std::string encoded{good};
        encoded.insert(at, std::string{'%', digits[static_cast<std::size_t>(byte >> 4)],
                                       digits[static_cast<std::size_t>(byte & 15)]});
        if (read(encoded) == octo) CHECK(read(encoded) != octo);
      }
    }
  }
  test::Octets small(20);
  CHECK(parse(octo, usual_hosts(), small).error() == Errc::output_too_small);
}
