#include "support.hpp"

#include "latchkey/upstream.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <set>

using namespace latchkey;
using namespace latchkey::upstream;
using repo::Provider;
using repo::Repo;

namespace {

constexpr Repo octo{Provider::github, "github.com", {}, "octo", "hello", {}, false};
constexpr Repo lab{Provider::gitlab, "git.example", "/gitlab", "group/sub", "app", {}, false};
constexpr Repo plain{Provider::git, "127.0.0.1:9000", {}, "A", "B", {}, true};

std::string say(const Result<Right>& right) {
  if (!right) return test::name(right);
  constexpr const char* names[] = {"", "fetch", "push", "read", "write", "lfs"};
  return names[static_cast<std::size_t>(*right)];
}
std::string ask(const Repo& repo, std::string_view method, const std::string& url) {
  const auto exact = test::octets(url);
  return say(check(repo, method, text_of(exact)));
}
std::string get(const std::string& path) { return ask(octo, "GET", "https://github.com" + path); }
std::string post(const std::string& path) { return ask(octo, "POST", "https://github.com" + path); }
std::string api(std::string_view method, const std::string& path) {
  return ask(octo, method, "https://api.github.com" + path);
}

}  // namespace

TEST_CASE("B6 upstream: every allowed request with every method") {
  struct Row {
    std::string path;
    std::set<std::string> methods;
    std::string right;
  };
  const std::string base = "https://github.com/octo/hello.git";
  const std::string rest = "https://api.github.com/repos/octo/hello/";
  const Row rows[] = {
      {base + "/info/refs?service=git-upload-pack", {"GET"}, "fetch"},
      {base + "/info/refs?service=git-receive-pack", {"GET"}, "push"},
      {base + "/git-upload-pack", {"POST"}, "fetch"},
      {base + "/git-receive-pack", {"POST"}, "push"},
      {base + "/info/lfs/objects/batch", {"POST"}, "lfs"},
      {base + "/info/lfs/locks/verify", {"POST"}, "push"},
      {rest + "pulls/12", {"GET", "HEAD"}, "read"},
      {rest + "pulls/12/comments", {"GET", "HEAD"}, "read"},
      {rest + "issues/comments/9", {"PATCH"}, "write"},
  };
  for (const Row& row : rows) {
    for (const std::string_view method : {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE",
                                          "OPTIONS", "CONNECT", "get", "", "GET HEAD", "POST "}) {
      CAPTURE(row.path, method);
      const bool allowed = row.methods.contains(std::string{method});
      CHECK(ask(octo, method, row.path) == (allowed ? row.right : "upstream_request_invalid"));
    }
  }
  // Reading and writing at one address.
  CHECK(api("GET", "/repos/octo/hello/issues/1/comments") == "read");
  CHECK(api("POST", "/repos/octo/hello/issues/1/comments") == "write");
  CHECK(api("GET", "/repos/octo/hello/pulls/1/reviews?page=2&per_page=100") == "read");
  CHECK(api("POST", "/repos/octo/hello/pulls/1/reviews") == "write");
  for (const std::string path :
       {"/repos/octo/hello/pulls", "/repos/octo/hello/pulls/0", "/repos/octo/hello/pulls/01",
        "/repos/octo/hello/pulls/1/merge", "/repos/octo/hello/pulls/1x", "/repos/octo/hello",
        "/repos/octo/hello/contents/a", "/user", "/graphql",
        "/repos/octo/hello/pulls/1?page=", "/repos/octo/hello/pulls/1?page=1&page=2",
        "/repos/octo/hello/pulls/1?x=1", "/repos/octo/hello/pulls/1?page=1&",
        "/repos/octo/hello/pulls/1?", "/repos/octo/hello/pulls/12345678901"}) {
    CAPTURE(path);
    CHECK(api("GET", path) == "upstream_request_invalid");
  }
  CHECK(api("POST", "/repos/octo/hello/pulls/1/reviews?page=1") == "upstream_request_invalid");
  CHECK(api("GET", "/octo/hello.git/info/refs?service=git-upload-pack") ==
        "upstream_request_invalid");
}

TEST_CASE("B6 upstream: the query of a git request is exactly one service") {
  for (const std::string query :
       {"", "?", "?service=git-upload-pack&x=1", "?service=git-upload-pack&service=git-upload-pack",
        "?service=git-upload-archive", "?Service=git-upload-pack", "?service=git-upload-pack%00"}) {
    CAPTURE(query);
    CHECK(get("/octo/hello.git/info/refs" + query) == "upstream_request_invalid");
  }
  CHECK(post("/octo/hello.git/git-upload-pack?") == "upstream_request_invalid");
  CHECK(post("/octo/hello.git/git-upload-pack?service=git-upload-pack") ==
        "upstream_request_invalid");
}

TEST_CASE("T26 upstream: a boundary is a slash; a foreign repository is a mismatch") {
  CHECK(post("/octo/hello/git-upload-pack") == "fetch");
  CHECK(post("/Octo/Hello.git/git-upload-pack") == "fetch");
  for (const std::string path :
       {"/octo/hello-evil", "/octo/hello.git-evil", "/octo/hello.git.git", "/octo/hell",
        "/octo-evil/hello", "/oct/hello", "/evil/hello", "/octo/hello/more", "/x/octo/hello"}) {
    CAPTURE(path);
    CHECK(post(path + "/git-upload-pack") == "repository_mismatch");
    CHECK(get(path + "/info/refs?service=git-upload-pack") == "repository_mismatch");
  }
  CHECK(api("GET", "/repos/octo/hello-evil/pulls/1") == "repository_mismatch");
  CHECK(api("GET", "/repos/octo/hello.git/pulls/1") == "repository_mismatch");
  CHECK(api("GET", "/repos/evil/hello/pulls/1") == "repository_mismatch");
  for (const std::string path :
       {"/octo", "/octo/hello", "/octo/hello.git", "/login", "/git-upload-pack",
        "/octo/git-upload-pack", "/octo/hello.git/git-upload-pack/x"}) {
    CAPTURE(path);
    CHECK(post(path) == "upstream_request_invalid");
  }
  CHECK(ask(lab, "POST", "https://git.example/gitlab/Group/Sub/App.git/git-upload-pack") ==
        "fetch");
  CHECK(ask(lab, "POST", "https://git.example/gitlabx/group/sub/app.git/git-upload-pack") ==
        "repository_mismatch");
  CHECK(ask(lab, "POST", "https://git.example/group/sub/app.git/git-upload-pack") ==
        "repository_mismatch");
  CHECK(ask(plain, "POST", "http://127.0.0.1:9000/A/B.git/git-upload-pack") == "fetch");
  CHECK(ask(plain, "POST", "http://127.0.0.1:9000/a/b.git/git-upload-pack") ==
        "repository_mismatch");
}

TEST_CASE("T27 threat T28 upstream: encoded slashes, dot segments, control bytes, hosts") {
  for (const std::string path :
       {"/octo%2fhello/git-upload-pack", "/octo%2Fhello.git/git-upload-pack",
        "/octo/hello%5c/git-upload-pack", "/octo/%2e%2e/git-upload-pack",
        "/octo/../evil/hello/git-upload-pack", "/octo/./hello/git-upload-pack",
        "/octo//hello/git-upload-pack", "//octo/hello/git-upload-pack", "/octo/hello/",
        "/octo/hello.git/..", "/octo\\hello/git-upload-pack", "/octo/hello/git-upload-pack#x", "",
        "/octo/hello.git/git-upload-pack%0a"}) {
    CAPTURE(path);
    CHECK(post(path) == "upstream_url_invalid");
  }
  const std::string tail = "/octo/hello.git/git-upload-pack";
  for (const std::string& url :
       {"https://u:p@github.com" + tail, "https://@github.com" + tail, "https://github.com." + tail,
        "https://GITHUB.com" + tail, "https://" + tail, "ftp://github.com" + tail, tail,
        "https:/github.com" + tail, "https://github.com@evil.example" + tail}) {
    CAPTURE(url);
    CHECK(ask(octo, "POST", url) == "upstream_url_invalid");
  }
  for (const std::string& url : {"http://github.com" + tail, "https://evilgithub.com" + tail,
                                 "https://github.com:444" + tail, "https://github.com.evil" + tail,
                                 "https://api.github.com.evil" + tail}) {
    CAPTURE(url);
    CHECK(ask(octo, "POST", url) == "upstream_host_not_allowed");
  }
  CHECK(ask(octo, "POST", "https://github.com:443" + tail) == "fetch");
  CHECK(ask(plain, "POST", "https://127.0.0.1:9000/A/B.git/git-upload-pack") ==
        "upstream_host_not_allowed");
  Repo far = plain;
  far.host = "far.example";
  CHECK(ask(far, "POST", "http://far.example/A/B.git/git-upload-pack") ==
        "upstream_host_not_allowed");
  Repo other = octo;
  other.provider = Provider::git;
  CHECK(ask(other, "GET", "https://api.github.com/repos/octo/hello/pulls/1") ==
        "upstream_host_not_allowed");
  CHECK(ask({}, "POST", "https://github.com" + tail) == "upstream_host_not_allowed");

  const std::string good = "https://github.com" + tail;
  for (std::size_t at = 0; at <= good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      if (byte > 0x20 && byte < 0x7f) continue;
      std::string raw = good;
      raw.insert(at, 1, static_cast<char>(byte));
      if (ask(octo, "POST", raw) != "upstream_url_invalid") {
        CAPTURE(at, byte);
        CHECK(ask(octo, "POST", raw) == "upstream_url_invalid");
      }
      constexpr std::string_view digits = "0123456789ABCDEF";
      std::string encoded = good;
      encoded.insert(at, std::string{'%', digits[static_cast<std::size_t>(byte >> 4)],
                                     digits[static_cast<std::size_t>(byte & 15)]});
      if (ask(octo, "POST", encoded) != "upstream_url_invalid") {
        CAPTURE(at, byte);
        CHECK(ask(octo, "POST", encoded) == "upstream_url_invalid");
      }
    }
  }
}

TEST_CASE("T72 threat T28 upstream: a redirect keeps origin, repository and right") {
  const std::string from = "https://github.com/octo/hello/info/refs?service=git-upload-pack";
  const auto go = [&](const std::string& to, std::uint32_t hop = 1) {
    return say(redirect(octo, "GET", from, to, hop));
  };
  CHECK(go("https://github.com/octo/hello.git/info/refs?service=git-upload-pack") == "fetch");
  CHECK(go("https://github.com/octo/hello.git/info/refs?service=git-upload-pack", 5) == "fetch");
  CHECK(go("https://github.com/octo/hello.git/info/refs?service=git-upload-pack", 6) ==
        "upstream_host_not_allowed");
  CHECK(go("https://github.com/octo/hello.git/info/refs?service=git-upload-pack", 0) ==
        "upstream_host_not_allowed");
  CHECK(go("https://github.com/octo/hello.git/info/refs?service=git-receive-pack") ==
        "upstream_request_invalid");
  CHECK(go("https://github.com/new/name.git/info/refs?service=git-upload-pack") ==
        "repository_mismatch");
  CHECK(go("http://github.com/octo/hello.git/info/refs?service=git-upload-pack") ==
        "upstream_host_not_allowed");
  CHECK(go("https://api.github.com/repos/octo/hello/pulls/1") == "upstream_host_not_allowed");
  CHECK(go("https://evil.example/octo/hello.git/info/refs?service=git-upload-pack") ==
        "upstream_host_not_allowed");
  CHECK(say(redirect(octo, "GET", "https://github.com/login", from, 1)) ==
        "upstream_request_invalid");
}

TEST_CASE("upstream: a batch of large files is a push unless it plainly is a download") {
  const auto right = [](std::string_view body) {
    auto bytes = test::octets(body);
    json::Node nodes[64];
    return lfs_right(bytes, nodes);
  };
  CHECK(right(R"({"operation":"download","objects":[]})") == Right::fetch);
  for (const std::string_view body :
       {"", "{}", "[]", R"({"operation":"upload"})", R"({"operation":"Download"})",
        R"({"operation":["download"]})", R"({"operation":"download","operation":"upload"})",
        R"({"operation":"download")", R"({"x":{"operation":"download"}})"}) {
    CAPTURE(body);
    CHECK(right(body) == Right::push);
  }
  CHECK(right(R"({"operation":"download","x":")" + std::string(64'000, 'a') + "\"}") ==
        Right::push);
}

TEST_CASE("repo.parse and upstream.check together take less than 5 us") {
  constexpr int rounds = 20'000;
  constexpr std::string_view text = "git@github.com:Octo/Hello.git";
  constexpr std::string_view url =
      "https://github.com/octo/hello.git/info/refs?service=git-upload-pack";
  std::uint8_t space[repo::max_canonical];
  std::size_t good = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) {
    const auto read = repo::parse(text, repo::usual_hosts(), space);
    if (read && check(*read, "GET", url)) ++good;
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  CHECK(good == rounds);
#ifdef NDEBUG
  CHECK(took.count() / rounds < 5);
#endif
  UNSCOPED_INFO(took.count() / rounds << " us");
}
