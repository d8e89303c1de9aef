#include "latchkey/redact.hpp"

#include "latchkey/seal.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>

using namespace latchkey;
using namespace latchkey::test;

namespace {

const std::string m{redact::marker};

std::string redacted(std::string_view text) {
  // Exactly as large as is promised to be enough.
  Octets out(redact::max_size(text.size()));
  const auto size = redact::redact(text, out);
  REQUIRE(size);
  out.resize(*size);
  std::string once = string_of(out);
  Octets again(redact::max_size(once.size()));
  const auto twice = redact::redact(once, again);
  REQUIRE(twice);
  again.resize(*twice);
  if (string_of(again) != once) {
    CAPTURE(text, once, string_of(again));
    FAIL_CHECK("not idempotent");
  }
  return once;
}

constexpr std::string_view base62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::string random_text(Random& random, std::size_t size, std::string_view alphabet = base62) {
  std::string out;
  for (; size > 0; --size) out += random.pick(alphabet);
  return out;
}

bool any_window(std::string_view secret, std::string_view text, std::size_t width = 8) {
  for (std::size_t i = 0; i + width <= secret.size(); ++i) {
    if (text.find(secret.substr(i, width)) != std::string_view::npos) return true;
  }
  return false;
}

struct Canary {
  std::string prefix;
  std::string secret;
  bool glued;  // found in the middle of a word too
  std::string extra;  // characters that are parts of it
};

// A token of every form, of the length it has or a random one.
std::vector<Canary> canaries(Random& random) {
  constexpr std::string_view url =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  const auto t62 = [&](std::size_t n) { return "A1" + random_text(random, n - 2); };
  const auto t64 = [&](std::size_t n) { return "A1" + random_text(random, n - 2, url); };
  std::vector<Canary> out;
  for (const char* prefix : {"ghp_", "gho_", "ghu_", "ghs_"})
    out.push_back({prefix, t62(36), true, ""});
  out.push_back({"ghr_", t62(76), true, ""});
  out.push_back({"github_pat_", t62(22) + "_" + t62(59), true, ""});
  out.push_back({"ghs_", "1234567_eyJhbGciOiJSUzI1NiIs" + t64(40) + "." + t64(200) + "." + t64(230),
                 true, ""});
  for (const char* prefix : {"glpat-", "gloas-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-",
                             "glft-", "glimt-", "glagent-", "glwt-", "glsoat-", "glffct-"}) {
    out.push_back({prefix, t64(20), true, ""});
  }
  out.push_back({"glpat-", t64(27) + ".01." + t62(9), true, ""});
  for (const char* prefix :
       {"xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxc-", "xoxe-", "xapp-"}) {
    out.push_back({prefix, "1-2345678901-" + t62(40), true, ""});
  }
  out.push_back({"xoxe.", "xoxp-1-" + t62(60), true, ""});
  out.push_back({"xoxd-", t62(30) + "%2B" + t62(20) + "%3D%3D", true, "+/=%"});
  out.push_back({"ya29.", "a0" + t64(120), true, ""});
  out.push_back({"1//", "0" + t64(80), false, ""});
  out.push_back({"4/0A", t64(60), false, ""});
  out.push_back({"1%2F%2F", "0" + t64(80), false, ""});
  out.push_back({"AIza", "Sy" + t64(33), true, ""});
  out.push_back({"GOCSPX-", t64(28), true, ""});
  out.push_back({"ATATT", "3xFfGF0" + t64(170) + "=" + "0A1B2C3D", true, "="});
  out.push_back({"ATCTT", "3xFfGF0" + t64(170), true, "="});
  out.push_back({"ATBB", t62(28), false, ""});
  for (const char* prefix : {"sk_live_", "sk_test_", "rk_live_", "rk_test_"}) {
    out.push_back({prefix, t62(24 + random.below(80)), false, ""});
  }
  out.push_back({"whsec_", t62(30) + "+/" + t62(10) + "=", true, "+/=%"});
  for (const char* prefix : {"shpat_", "shpca_", "shppa_", "shpss_", "shprt_"}) {
    out.push_back({prefix, t62(32), true, ""});
  }
  for (const char* prefix : {"lin_api_", "lin_oauth_", "lin_wh_"}) {
    out.push_back({prefix, t62(40), false, ""});
  }
  const std::string jws =
      base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + t64(90) + "." + t64(43);
  out.push_back({"", jws, true, ""});
  out.push_back(
      {"",
       base64url(R"({"zip":"DEF","alg":"dir"})") + ".." + t64(16) + "." + t64(90) + "." + t64(22),
       false, ""});
  out.push_back(
      {"", hs256_token(k1, usual_header("HS256", "k1", "oauth-state+jwt"), "{\"v\":1}"), true, ""});
  const Octets entropy = random.bytes(24);
  Octets scratch(200);
  Octets space(400);
  Writer sealed{space};
  REQUIRE(seal::seal(ring_of({k1}), random.bytes(80), {}, entropy, scratch, sealed));
  out.push_back({"", string_of(sealed.written()), true, ""});
  return out;
}

constexpr std::string_view before_text = "At noon the worker said: nothing to do here, ";
constexpr std::string_view after_text = " and went on (see docs/refresh.md).";

}  // namespace

TEST_CASE("T56 threat T36 redact: a token of every form, at every offset, beside every delimiter") {
  Random random{1};
  std::size_t checked = 0;
  for (const Canary& canary : canaries(random)) {
    const std::string token = canary.prefix + canary.secret;
    for (unsigned d = 0; d < 256; ++d) {
      const char delimiter = static_cast<char>(d);
      const bool is_word = base62.find(delimiter) != std::string_view::npos ||
                           std::string_view{"_-."}.find(delimiter) != std::string_view::npos;
      const bool is_part = is_word || canary.extra.find(delimiter) != std::string::npos;
      for (const bool behind : {false, true}) {
        for (const bool ahead : {false, true}) {
          // A letter in front takes away what tells short prefixes from the ends of words.
          if (ahead && base62.find(delimiter) != std::string_view::npos && !canary.glued) continue;
          const std::string front{before_text.substr(0, (d * 7U) % before_text.size())};
          const std::string text = front + (ahead ? std::string{delimiter} : " ") + token +
                                   (behind ? std::string{delimiter} : "") + std::string{after_text};
          const std::string got = redacted(text);
          CAPTURE(text, got, d);
          REQUIRE_FALSE(any_window(canary.secret, got));
          // Nothing else is touched.
          if (!(behind && is_part)) {
            REQUIRE(got == front + (ahead ? std::string{delimiter} : " ") + m +
                               (behind ? std::string{delimiter} : "") + std::string{after_text});
          }
          ++checked;
        }
      }
    }
    for (std::size_t offset = 0; offset <= before_text.size(); ++offset) {
      const std::string front{before_text.substr(0, offset)};
      const std::string back{before_text.substr(offset)};
      const std::string got = redacted(front + "\"" + token + "\"" + back);
      REQUIRE(got == front + "\"" + m + "\"" + back);
    }
  }
  WARN(checked << " surroundings of tokens");
}

TEST_CASE("T56 redact: escapes and encodings in front of a token") {
  Random random{2};
  for (const Canary& canary : canaries(random)) {
    const std::string token = canary.prefix + canary.secret;
    for (const char* front :
         {"\\n", "\\t", "\\r\\n", "\\\"", "\\/", "%0A", "%3D", "%253D", "%22", "\\u003d", "\\u0022",
          "&quot;", "x\\n", "=", "?a=b&x=", "Bearer ", "bearer+", "token "}) {
      const std::string got = redacted(std::string{"line"} + front + token + " end");
      CAPTURE(front, token, got);
      CHECK_FALSE(any_window(canary.secret, got));
      CHECK(got == std::string{"line"} + front + m + " end");
    }
  }
}

TEST_CASE("T56 redact: a token cut short is a token") {
  Random random{3};
  for (const Canary& canary : canaries(random)) {
    const std::string token = canary.prefix + canary.secret;
    for (std::size_t size = canary.prefix.size() + 24; size <= token.size(); ++size) {
      // The sign before a checksum that is cut off may stay.
      std::string cut = token.substr(0, size);
      if (canary.extra == "=" && cut.back() == '=') cut.pop_back();
      const std::string got = redacted("x: " + cut);
      CAPTURE(cut, got);
      REQUIRE(got == "x: " + m);
    }
  }
}

TEST_CASE("T56 redact: members by their name, in every spelling") {
  Random random{4};
  std::size_t checked = 0;
  for (const char* word : {"access_token",
                           "refresh_token",
                           "id_token",
                           "client_secret",
                           "code",
                           "code_verifier",
                           "password",
                           "secret",
                           "token",
                           "assertion",
                           "api_key",
                           "state",
                           "private_token",
                           "X-Gitlab-Token",
                           "x-api-key",
                           "x-hub-signature-256",
                           "LATCHKEY_KEYS",
                           "LATCHKEY_PRINCIPAL_KEY",
                           "GITHUB_CLIENT_SECRET",
                           "client_assertion",
                           "device_code"}) {
    const std::string lower_case = word;
    std::string upper_case;
    std::string camel;
    for (std::size_t i = 0; i < lower_case.size(); ++i) {
      const auto up = static_cast<char>(std::toupper(lower_case[i]));
      upper_case += up;
      if (lower_case[i] == '_' || lower_case[i] == '-') continue;
      const bool first = i > 0 && (lower_case[i - 1] == '_' || lower_case[i - 1] == '-');
      camel += first ? up : lower_case[i];
    }
    for (const std::string& name : {lower_case, upper_case, camel}) {
      const std::string secret = "Zq9" + random_text(random, 24);
      const auto check = [&](const std::string& front, const std::string& back) {
        const std::string text = front + secret + back;
        const std::string got = redacted(text);
        CAPTURE(text, got);
        CHECK_FALSE(any_window(secret, got));
        CHECK(got == front + m + back);
        ++checked;
      };
      check("https://x.example/cb?a=1&" + name + "=", "&b=2");
      check("a=1&" + name + "=", " ");
      check(name + "=", "");
      check("{\"a\":1,\"" + name + "\":\"", "\",\"b\":2}");
      check("{\"a\":1, \"" + name + "\" : \"", "\" }");
      check("{\n  \"" + name + "\":\n    \"", "\"\n}");
      check("{\\\"" + name + "\\\":\\\"", "\\\",\\\"b\\\":2}");
      check("{\\\\\\\"" + name + "\\\\\\\":\\\\\\\"", "\\\\\\\"}");
      check("{\\u0022" + name + "\\u0022:\\u0022", "\\u0022}");
      check("{&quot;" + name + "&quot;:&quot;", "&quot;}");
      check("%7B%22" + name + "%22%3A%22", "%22%7D");
      check("return_to=%2Fcb%3F" + name + "%3D", "%26b%3D2");
      check("u=%252Fcb%253F" + name + "%253D", "%2526b");
      check("{ " + name + ": '", "', b: 2 }");
      check("{ '" + name + "' => \"", "\" }");
      check("[[\"" + name + "\",\"", "\"],[\"b\",\"c\"]]");
      check("params[" + name + "]=", "&x=y");
      check("export " + name + "=", "\n");
      check(name + ": ", "\n");
      check("<" + name + ">", "</" + name + ">");
      check("form." + name + " = \"", "\"");
      check("\\n" + name + "=", "&");
      check("\\t" + name + "=", "&");
    }
  }
  WARN(checked << " members");
}

TEST_CASE("T56 redact: where a value ends") {
  CHECK(redacted(R"({"password":"a\"b\\","b":"c"})") == R"({"password":"[redacted]","b":"c"})");
  CHECK(redacted(R"({"password":"a\\\"b","b":"c"})") == R"({"password":"[redacted]","b":"c"})");
  // One level of JSON further down, each backslash and each quotation mark is escaped once more.
  CHECK(redacted(R"({\"password\":\"a\\\\\",\"b\":\"c\"})") ==
        R"({\"password\":\"[redacted]\",\"b\":\"c\"})");
  CHECK(redacted(R"({\"password\":\"a\\\"b\",\"b\":\"c\"})") ==
        R"({\"password\":\"[redacted]\",\"b\":\"c\"})");
  // What is encoded more often than the sign is a part of the value.
  CHECK(redacted("code=abc%26defghijk&x=1") == "code=" + m + "&x=1");
  CHECK(redacted("code%3Dabc%2526defghijk%26x%3D1") == "code%3D" + m + "%26x%3D1");
  // An encoded letter may belong to the name or not.
  CHECK(redacted("%5Fcode=abc&x=1") == "%5Fcode=" + m + "&x=1");
}

TEST_CASE("T56 redact: headers") {
  const std::string secret = "dXNlcjpwYXNzd29yZC0xMjM0NQ==";
  for (const char* name : {"Authorization", "authorization", "PROXY-AUTHORIZATION"}) {
    const std::string n = name;
    for (const char* scheme :
         {"Basic ", "Bearer ", "token ", "Digest username=\"u\", response=", ""}) {
      const std::string value = scheme + secret;
      CHECK(redacted(n + ": " + value + "\r\nHost: x") == n + ": " + m + "\r\nHost: x");
      CHECK(redacted("{\"" + n + "\":\"" + secret + "\"}") == "{\"" + n + "\":\"" + m + "\"}");
      CHECK(redacted("curl -H '" + n + ": " + value + "' https://x.example") ==
            "curl -H '" + n + ": " + m + "' https://x.example");
      CHECK(redacted("\"" + n + ": " + secret + "\\r\\nHost: x") ==
            "\"" + n + ": " + m + "\\r\\nHost: x");
    }
    CHECK(redacted(n + "=Bearer " + secret + " x") == n + "=" + m + " x");
  }
  CHECK(redacted("Cookie: a=b; c=d\nHost: x") == "Cookie: " + m + "\nHost: x");
  CHECK(redacted("set-cookie: sid=1; Path=/; HttpOnly") == "set-cookie: " + m);
  CHECK(redacted("'set-cookie': [ 'sid=1; Path=/', 'b=\\'2]' ], x: 1") ==
        "'set-cookie': " + m + ", x: 1");
  CHECK(redacted("PRIVATE-TOKEN: abc") == "PRIVATE-TOKEN: " + m);
  CHECK(redacted("sent Basic " + secret + " twice") == "sent Basic " + m + " twice");
  CHECK(redacted("sent bearer\t" + secret + " twice") == "sent bearer\t" + m + " twice");
  CHECK(redacted("Bearer 0123456789abcdef.x") == "Bearer " + m);
  CHECK(redacted("token 0123456789abcdef0123456789abcdef01234567") == "token " + m);
}

TEST_CASE("T56 redact: user info of URLs") {
  CHECK(redacted("https://user:pass@host/a@b") == "https://" + m + "@host/a@b");
  CHECK(redacted("git clone https://x-access-token:ghs_" + std::string(36, 'A') +
                 "@github.com/a/b.git") == "git clone https://" + m + "@github.com/a/b.git");
  CHECK(redacted("https://opaque@host") == "https://" + m + "@host");
  CHECK(redacted("HTTP://u@h") == "HTTP://" + m + "@h");
  CHECK(redacted("postgres://app:p@ss:w@db:5432/x?y") == "postgres://" + m + "@db:5432/x?y");
  CHECK(redacted("u=https%3A%2F%2Fuser%3Apass%40host%2Fx") ==
        "u=https%3A%2F%2F" + m + "%40host%2Fx");
  for (const char* text :
       {"ssh://git@github.com/a/b.git", "https://host/@scope/pkg@1.2.3", "https://host:8443/x",
        "https://host?to=a@b.c", "mailto:a@b.c", "a@b.c", "git@github.com:a/b.git"}) {
    CHECK(redacted(text) == text);
  }
}

TEST_CASE("T56 redact: PEM private keys, whole, cut and escaped") {
  Random random{5};
  const std::string body =
      random_text(random, 64) + "\n" + random_text(random, 64) + "\n" + random_text(random, 20);
  for (const char* label :
       {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK"}) {
    const std::string l = label;
    const std::string pem = "-----BEGIN " + l + "-----\n" + body + "=\n-----END " + l + "-----";
    CHECK(redacted("a " + pem + "\nb") == "a " + m + "\nb");
    CHECK(redacted(pem + pem) == m + m);
    std::string escaped;
    for (const char c : pem) escaped += c == '\n' ? std::string{"\\n"} : std::string{c};
    CHECK(redacted("{\"k\":\"" + escaped + "\"}") == "{\"k\":\"" + m + "\"}");
    for (std::size_t cut = 17 + l.size(); cut < pem.size(); cut += 7) {
      const std::string got = redacted("x " + pem.substr(0, cut));
      CAPTURE(cut, got);
      REQUIRE(got == "x " + m);
    }
  }
  for (const char* label : {"CERTIFICATE", "PUBLIC KEY"}) {
    const std::string l = label;
    const std::string pem = "-----BEGIN " + l + "-----\nMIIB\n-----END " + l + "-----";
    CHECK(redacted(pem) == pem);
  }
}

TEST_CASE("T56 redact: what is no credential stays byte for byte") {
  for (const char* text : {
           "",
           "Refresh failed: the provider answered 503; trying again in 4 s.",
           "550e8400-e29b-41d4-a716-446655440000",
           "commit 0123456789abcdef0123456789abcdef01234567 (HEAD -> main)",
           "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
           "/usr/lib/x86_64-linux-gnu/libc.so.6 and C:\\new\\table\\bin",
           "2026-11-27T03:29:02.123Z level=info msg=\"refreshed\" generation=7 ms=12.5",
           "GET /connect/github?owner=user&return_to=/settings HTTP/1.1",
           "https://app.example/callback/github?connected=github#top",
           "exit code: 1, state: running, status code 404, zip code 12345",
           "{\"code\":\"invalid_state\",\"status\":400,\"state\":\"closed\",\"code\":404}",
           "{\"error\":{\"code\":\"ENOENT\"},\"state\":null,\"token\":null,\"secret\":true}",
           "{\"token_type\":\"bearer\",\"expires_in\":3600,\"scope\":\"repo read:user\"}",
           "max_tokens=4096&token_endpoint=https://id.example/token",
           "Basic Authentication is not Bearer Authentication; the bearer of this token is known.",
           "a tokenizer, two tokens, secretary, passwords, codes, states, cookies",
           "ghp_ gho_ ghu_ ghs_ and glpat- are prefixes; so are eyJ and sk_live_",
           "highs_and_lows_of_the_day task_live_updates_now keyJustification MonkeyJungleTreehouse",
           "the password must have 12 characters and the code 6",
           "-----BEGIN CERTIFICATE-----",
           "a &quot;quoted&quot; %20 word \\u0041 \\n 100% & more <b>bold</b>",
           "\xC3\xA9t\xC3\xA9 \xE2\x99\xA5 \xF0\x9F\x94\x91",
       }) {
    CHECK(redacted(text) == text);
  }
  // Words of a language that has no word for anything secret.
  Random random{6};
  constexpr std::string_view words[] = {
      "alpha",  "beta-2",   "gamma_ray", "delta.js", "3.14", "x=1", "y: 2", "\"q\"", "(see", "b)",
      "/a/b/c", "C:\\x",    "50%",       "%41",      "a&b",  "<p>", "k1",   "n/a",   "=",    ":",
      "://",    "?x=y&z=w", "Worker",    "HTTP/2",   "\\n",  "\n",  "\t",   "\\\"",  "[1,2]"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t n = random.below(20); n > 0; --n) {
      text += random.pick(words);
      if (random.below(4) > 0) text += ' ';
    }
    REQUIRE(redacted(text) == text);
  }
}

TEST_CASE("T56 threat T36 redact: total, bounded and idempotent on any bytes") {
  Random random{7};
  constexpr std::string_view parts[] = {"token",      "code",
                                        "state",      "password",
                                        "cookie",     "Authorization",
                                        "=",          ":",
                                        "\"",         "'",
                                        "\\",         "\\\"",
                                        "[",          "]",
                                        "{",          "}",
                                        ",",          "&",
                                        "<",          ">",
                                        " ",          "\n",
                                        "%22",        "%3D",
                                        "%253A",      "\\u0022",
                                        "&quot;",     "://",
                                        "@",          "http",
                                        "ghp_",       "eyJ",
                                        "1//",        "whsec_",
                                        "lks1.",      "Bearer",
                                        "basic",      "A1b2C3d4E5f6G7h8",
                                        "-----BEGIN", "PRIVATE",
                                        "-----",      "-----END",
                                        "x",          "9",
                                        "_",          "-",
                                        ".",          "+",
                                        "/",          "null",
                                        "[redacted]", "jwt",
                                        "pwd",        "u@",
                                        "\xFF",       "%2"};
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    for (std::size_t n = random.below(12); n > 0; --n) text += random.pick(parts);
    static_cast<void>(redacted(text));
  }
  for (int round = 0; round < 2'000; ++round) {
    const Octets bytes = random.bytes(random.below(300));
    static_cast<void>(redacted(text_of(bytes)));
  }
}

TEST_CASE("redact: what does not fit is refused") {
  const std::string text = "token=abc and more";
  const std::size_t size = redacted(text).size();
  for (std::size_t room = 0; room < size; ++room) {
    Octets out(room);
    CHECK(name(redact::redact(text, out)) == "output_too_small");
  }
  CHECK(name(redact::redact({}, {})) == "ok");
}

TEST_CASE("redact: the time it takes grows with the text and no faster") {
  // Everything that makes it look ahead, over and over.
  for (const char* part :
       {"code:",       "token ",    "token=",   "token \"",  "xghp_a", "ghp_",
        "://",         "%3A%2F%2F", "%2525",    "\\",        "basic+", "bearer ",
        "-----BEGIN ", "code:\"a",  "cookie:'", "'token':[", "a",      "state:\n",
        "\\\\\"",      "glpat-",    "whsec_%",  "&quot;",    "<code>"}) {
    CAPTURE(part);
    const auto time = [&](std::size_t size) {
      std::string text;
      while (text.size() < size) text += part;
      Octets out(redact::max_size(text.size()));
      const auto begin = std::chrono::steady_clock::now();
      CHECK(redact::redact(text, out));
      return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
          .count();
    };
    // A quadratic reader takes minutes for this.
    CHECK(time(2'000'000) < 4'000);
  }
}
