#include "latchkey/webhook.hpp"

#include "external.hpp"

#include <map>

using namespace latchkey;
using namespace latchkey::test;
using webhook::Change;
using webhook::Headers;
using webhook::Reach;
using webhook::Tokens;

namespace {

constexpr UnixMillis now{1'767'225'600'000};
const std::string now_text = "1767225600";
constexpr const char* profiles[] = {"generic", "github-app", "github-oauth", "gitlab",
                                    "linear",  "shopify",    "slack",        "zoom"};

const webhook::Receiver& receiver_of(std::string_view profile) {
  const auto* found = webhook::find(profile);
  REQUIRE(found != nullptr);
  return *found;
}

std::string base64(Bytes bytes) {
  std::string out = base64url(bytes);
  std::replace(out.begin(), out.end(), '-', '+');
  std::replace(out.begin(), out.end(), '_', '/');
  while (out.size() % 4 != 0) out += '=';
  return out;
}

/// A delivery as the provider signs it.
struct Delivery {
  std::string profile;
  Octets secret;  // as configured
  std::string signature;
  std::string timestamp;
  std::string id;
  Octets body;

  [[nodiscard]] Result<void> verify(UnixMillis when = now) const {
    return webhook::verify(receiver_of(profile), secret, {signature, timestamp, id}, when, body);
  }
};

Delivery signed_by(const std::string& profile, const std::string& body,
                   const std::string& timestamp = now_text) {
  Delivery out;
  out.profile = profile;
  out.secret = octets("canary-webhook-secret-71c2");
  out.body = octets(body);
  const auto tag = [&](const std::string& front) { return hmac(out.secret, octets(front + body)); };
  switch (receiver_of(profile).scheme) {
  case webhook::Scheme::hub: out.signature = "sha256=" + hex(tag("")); break;
  case webhook::Scheme::hex: out.signature = hex(tag("")); break;
  case webhook::Scheme::base64: out.signature = base64(tag("")); break;
  case webhook::Scheme::v0:
    out.timestamp = timestamp;
    out.signature = "v0=" + hex(tag("v0:" + timestamp + ":"));
    break;
  case webhook::Scheme::standard:
    out.timestamp = timestamp;
    out.id = "msg_1";
    out.signature = "v1," + base64(tag("msg_1." + timestamp + "."));
    out.secret = octets("whsec_" + base64(out.secret));
    break;
  case webhook::Scheme::token: out.signature = string_of(out.secret); break;
  }
  return out;
}

/// What was read, with owned texts.
struct Read {
  webhook::News news{};
  std::vector<std::pair<std::string, Tokens>> subjects;
  std::string key;
  Errc error{Errc::ok};
};

Read read(std::string_view profile, std::string_view event, std::string_view id,
          std::string_view json, UnixMillis when = now) {
  Octets body = octets(json);
  std::vector<json::Node> nodes(2'000);
  std::vector<webhook::Subject> subjects(webhook::max_subjects);
  const auto news = webhook::read(receiver_of(profile), event, id, body, when, nodes, subjects);
  Read out;
  out.error = news.error();
  if (!news) return out;
  out.news = *news;
  out.key = news->key.view();
  for (std::size_t i = 0; i < news->subjects; ++i) {
    out.subjects.emplace_back(subjects[i].id, subjects[i].tokens);
  }
  CHECK(news->until == when.plus(seconds(3LL * 24 * 3600)));
  CHECK(out.key.size() == 43);
  CHECK((news->change == Change::none) == (news->subjects == 0));
  CHECK((news->change == Change::none) == (news->reach == Reach::none));
  return out;
}

Read github(std::string_view event, std::string_view json, std::string_view id = "d-1") {
  return read("github-app", event, id, json);
}

}  // namespace

TEST_CASE("threat T30 webhook: every scheme verifies what was signed and nothing else") {
  std::size_t flips = 0;
  for (const std::string profile : profiles) {
    CAPTURE(profile);
    const Delivery good = signed_by(profile, R"({"action":"revoked","sender":{"id":1}})");
    CHECK(name(good.verify()) == "ok");
    const bool signs_body = good.profile != "gitlab";
    const auto flipped = [](auto text, std::size_t bit) {
      const auto byte = static_cast<std::uint8_t>(text[bit / 8]);
      text[bit / 8] = static_cast<typename decltype(text)::value_type>(byte ^ (1U << (bit % 8)));
      return text;
    };
    for (std::size_t bit = 0; bit < 8 * good.body.size(); ++bit, ++flips) {
      Delivery bad = good;
      bad.body = flipped(bad.body, bit);
      REQUIRE(static_cast<bool>(bad.verify()) == !signs_body);
    }
    for (std::size_t bit = 0; bit < 8 * good.signature.size(); ++bit, ++flips) {
      Delivery bad = good;
      bad.signature = flipped(bad.signature, bit);
      REQUIRE(name(bad.verify()) == "webhook_invalid");
    }
    for (std::size_t bit = 0; bit < 8 * good.secret.size(); ++bit, ++flips) {
      Delivery bad = good;
      bad.secret = flipped(bad.secret, bit);
      REQUIRE_FALSE(bad.verify());
    }
    for (std::string Delivery::* header : {&Delivery::timestamp, &Delivery::id}) {
      if ((good.*header).empty()) continue;
      for (std::size_t bit = 0; bit < 8 * (good.*header).size(); ++bit, ++flips) {
        Delivery bad = good;
        bad.*header = flipped(bad.*header, bit);
        REQUIRE(name(bad.verify()) == "webhook_invalid");
      }
    }
    for (std::size_t size = 0; size < good.signature.size(); ++size) {
      Delivery bad = good;
      bad.signature.resize(size);
      REQUIRE(name(bad.verify()) == "webhook_invalid");
    }
    for (const char* more : {" ", "0", "\n", ",", "=", "\0"}) {
      Delivery bad = good;
      bad.signature += more;
      // A blank begins another signature where there can be several.
      const bool may = profile == "generic" && std::string_view{more} == " ";
      CHECK((*more == '\0' || static_cast<bool>(bad.verify()) == may));
      bad.signature = more + good.signature;
      CHECK((*more == '\0' || static_cast<bool>(bad.verify()) == may));
    }
  }
  WARN(flips << " flipped bits");
}

TEST_CASE("threat T30 webhook: the signature of one scheme or secret is none of another's") {
  for (const std::string from : profiles) {
    for (const std::string to : profiles) {
      Delivery moved = signed_by(from, "{}");
      const Delivery own = signed_by(to, "{}");
      moved.profile = to;
      moved.secret = own.secret;
      moved.timestamp = own.timestamp;
      moved.id = own.id;
      const bool same = receiver_of(from).scheme == receiver_of(to).scheme;
      CAPTURE(from, to);
      CHECK(static_cast<bool>(moved.verify()) == same);
    }
  }
}

TEST_CASE("threat T30 webhook: a header has one form") {
  const Delivery good = signed_by("github-app", "{}");
  const std::string digits = good.signature.substr(7);
  std::string upper = digits;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (const std::string& header :
       {"sha256=" + upper, digits, "SHA256=" + digits, "sha1=" + digits, "sha256:" + digits,
        "sha256= " + digits, " sha256=" + digits, "sha256=" + digits + ",sha256=" + digits,
        "sha256=" + base64(from_hex(digits)), std::string{"sha256="}, std::string{}}) {
    Delivery bad = good;
    bad.signature = header;
    CAPTURE(header);
    CHECK(name(bad.verify()) == "webhook_invalid");
  }
  Delivery shop = signed_by("shopify", "{}");
  for (const std::string& header :
       {base64url(hmac(shop.secret, shop.body)), shop.signature.substr(0, 43), shop.signature + "=",
        hex(hmac(shop.secret, shop.body))}) {
    Delivery bad = shop;
    bad.signature = header;
    CHECK(name(bad.verify()) == "webhook_invalid");
  }
  // The spare bits of the last character.
  for (const char c : base64url_digits) {
    Delivery bad = shop;
    bad.signature[42] = c == '-' ? '+' : c == '_' ? '/' : c;
    CHECK(static_cast<bool>(bad.verify()) == (bad.signature == shop.signature));
  }
}

TEST_CASE("threat T30 webhook: several signatures, of which one is good") {
  const Delivery good = signed_by("generic", "{}");
  const std::string wrong = "v1," + base64(Octets(32));
  const auto check = [&](const std::string& header) {
    Delivery other = good;
    other.signature = header;
    return static_cast<bool>(other.verify());
  };
  CHECK(check(wrong + " " + good.signature));
  CHECK(check(good.signature + " " + wrong));
  CHECK(check("v1a,xxxx " + good.signature));
  CHECK(check("v2,abc  " + good.signature));
  CHECK_FALSE(check(wrong + " " + wrong));
  CHECK_FALSE(check(wrong + "," + good.signature));
  CHECK_FALSE(check("v2," + good.signature.substr(3)));
  std::string many;
  for (int i = 0; i < 15; ++i) many += "x ";
  CHECK(check(many + good.signature));
  CHECK_FALSE(check("x " + many + good.signature));
  CHECK_FALSE(check(std::string(1'000, 'x') + " " + good.signature));
}

TEST_CASE("threat T30 webhook: five minutes, exactly, both ways") {
  for (const char* profile : {"generic", "slack", "zoom"}) {
    CAPTURE(profile);
    const Delivery good = signed_by(profile, "{}");
    for (const std::int64_t off : {-300'001, -300'000, -1, 0, 1, 300'000, 300'001}) {
      const bool fresh = off >= -300'000 && off <= 300'000;
      CAPTURE(off);
      CHECK(static_cast<bool>(good.verify({now.value + off})) == fresh);
    }
    CHECK_FALSE(good.verify({0}));
    CHECK_FALSE(good.verify({UnixMillis::max}));
    for (const char* timestamp :
         {"", "0", "-1", "1767225600.0", "1.7e9", " 1767225600", "01767225600", "+1767225600",
          "1767225600000", "9999999999999", "x", "0x6955b900"}) {
      CAPTURE(timestamp);
      CHECK(name(signed_by(profile, "{}", timestamp).verify()) == "webhook_invalid");
    }
  }
  for (const char* profile : {"github-app", "gitlab", "linear", "shopify"}) {
    CHECK(signed_by(profile, "{}").verify({0}));
  }
}

TEST_CASE("threat T30 webhook: secrets") {
  for (const std::string profile : profiles) {
    CAPTURE(profile);
    Delivery none = signed_by(profile, "{}");
    none.secret.clear();
    CHECK(name(none.verify()) == "key_invalid");
    none.secret.assign(1'025, 'x');
    CHECK(name(none.verify()) == "key_invalid");
    CHECK(name(webhook::begin(receiver_of(profile), {}, {})) == "key_invalid");
    // The MAC of nothing with nothing is no secret's.
    none.secret.clear();
    none.signature = "sha256=" + hex(hmac({}, none.body));
    CHECK(name(none.verify()) == "key_invalid");
  }
  const Delivery good = signed_by("generic", "{}");
  Delivery bare = good;
  bare.secret.erase(bare.secret.begin(), bare.secret.begin() + 6);
  CHECK(bare.verify());
  for (const char* secret : {"whsec_", "whsec_a", "whsec_ab-_", "whsec_abc",
                             "whsec_abcd=", "whsec_====", "not base64!"}) {
    Delivery bad = good;
    bad.secret = octets(secret);
    CAPTURE(secret);
    CHECK(name(bad.verify()) == "key_invalid");
  }
  for (const char* id : {"", "a.b", "a b", "\x7F", "\xC3\xA9"}) {
    Delivery bad = good;
    bad.id = id;
    CHECK(name(bad.verify()) == "webhook_invalid");
  }
  // Signed, but where the id ends cannot be told.
  Delivery dotted = good;
  dotted.id = "a.b";
  dotted.signature =
      "v1," + base64(hmac(octets("canary-webhook-secret-71c2"), octets("a.b." + now_text + ".{}")));
  CHECK(name(dotted.verify()) == "webhook_invalid");
  dotted.id = "a_b";
  dotted.signature =
      "v1," + base64(hmac(octets("canary-webhook-secret-71c2"), octets("a_b." + now_text + ".{}")));
  CHECK(dotted.verify());
  CHECK(webhook::find("discord") == nullptr);
  CHECK(webhook::find("github") == nullptr);
  CHECK(webhook::find({}) == nullptr);
  for (const std::string profile : profiles) CHECK(profile::find(profile) != nullptr);
}

TEST_CASE("webhook: in pieces as in one") {
  Random random{1};
  for (const std::string profile : profiles) {
    const Delivery good = signed_by(profile, string_of(random.bytes(300)));
    const Headers headers{good.signature, good.timestamp, good.id};
    const auto check = [&](const std::vector<std::size_t>& sizes) {
      auto stream = *webhook::begin(receiver_of(profile), good.secret, headers);
      Bytes rest = good.body;
      for (const std::size_t size : sizes) {
        const std::size_t n = std::min(size, rest.size());
        webhook::update(stream, rest.first(n));
        rest = rest.subspan(n);
      }
      webhook::update(stream, rest);
      REQUIRE(webhook::finish(stream, good.signature, now));
      // Nothing of the secret stays, and a stream is good for one answer.
      const Octets zeros(sizeof stream);
      CHECK(std::memcmp(&stream, zeros.data(), zeros.size()) == 0);
      CHECK_FALSE(webhook::finish(stream, good.signature, now));
    };
    for (std::size_t i = 0; i <= good.body.size(); ++i) check({i});
    for (int i = 0; i < 300; ++i)
      check({random.below(200), 0, random.below(130), random.below(70)});
  }
}

TEST_CASE("external: webhook signatures of GitHub and of Standard Webhooks") {
  Count count;
  const Json sets = read_json(external("webhook-sig") / "vectors.derived.json");
  const auto check = [&](const Delivery& good, UnixMillis when) {
    CHECK(good.verify(when));
    const auto each_bit = [&](auto Delivery::* part) {
      for (std::size_t bit = 0; bit < 8 * (good.*part).size(); ++bit) {
        Delivery bad = good;
        auto& byte = (bad.*part)[bit / 8];
        byte = static_cast<std::decay_t<decltype(byte)>>(static_cast<std::uint8_t>(byte) ^
                                                         (1U << (bit % 8)));
        REQUIRE_FALSE(bad.verify(when));
      }
    };
    each_bit(&Delivery::body);
    each_bit(&Delivery::signature);
    each_bit(&Delivery::secret);
    ++count.run;
  };
  for (const Json& v : sets.at("github")) {
    check({"github-app", octets(v.at("secret").get<std::string>()), v.at("signature"), "", "",
           octets(v.at("payload").get<std::string>())},
          now);
  }
  for (const Json& v : sets.at("standardwebhooks")) {
    const auto at = v.at("timestamp").get<std::int64_t>();
    check({"generic", octets(v.at("secret").get<std::string>()), v.at("signature"),
           std::to_string(at), v.at("id"), octets(v.at("payload").get<std::string>())},
          {at * 1000});
  }
  CHECK(count.run == 6);
  count.report("webhook signatures");
}

TEST_CASE("T48 webhook: a numeric id is its digits, whatever its size") {
  const std::pair<const char*, const char*> ids[] = {
      {"123", "123"},
      {"1", "1"},
      {"0", "0"},
      {"9007199254740993", "9007199254740993"},
      {"18446744073709551617", "18446744073709551617"},
      {"123456789012345678901234567890", "123456789012345678901234567890"},
      {"\"123\"", "123"},
      {"\"U0A\"", "U0A"},
  };
  for (const auto& [json, id] : ids) {
    const auto got = github("github_app_authorization",
                            std::string{R"({"action":"revoked","sender":{"id":)"} + json + "}}");
    CAPTURE(json);
    CHECK(got.error == Errc::ok);
    CHECK(got.news.change == Change::revoked);
    CHECK(got.news.reach == Reach::account);
    REQUIRE(got.subjects.size() == 1);
    // All app types of that account.
    CHECK(got.subjects[0] == std::pair{std::string{id}, Tokens::any});
    CHECK_FALSE(got.news.has_at);
  }
  for (const char* json :
       {"-1", "1.0", "1e3", "12.5", "null", "true", "[]", "{}", "[1.5]", "\"\"", "\"a\\u0000\""}) {
    CAPTURE(json);
    CHECK(github("github_app_authorization",
                 std::string{R"({"action":"revoked","sender":{"id":)"} + json + "}}")
              .error == Errc::webhook_unreadable);
  }
  // `node_id` is another id altogether.
  CHECK(github("github_app_authorization",
               R"({"action":"revoked","sender":{"node_id":"MDQ6VXNlcjE="}})")
            .error == Errc::webhook_unreadable);
}

TEST_CASE("T48 webhook: what the table does not name changes nothing") {
  const char* revoked = R"({"action":"revoked","sender":{"id":1}})";
  for (const char* event :
       {"ping", "push", "installation_repositories", "GITHUB_APP_AUTHORIZATION", "x"}) {
    const auto got = github(event, revoked);
    CHECK(got.error == Errc::ok);
    CHECK(got.news.change == Change::none);
  }
  for (const char* action : {"\"created\"", "\"Revoked\"", "1", "null"}) {
    const auto got = github("github_app_authorization",
                            std::string{R"({"sender":{"id":1},"action":)"} + action + "}");
    CHECK(got.error == Errc::ok);
    CHECK(got.news.change == Change::none);
  }
  // GitHub tells GitHub Apps only.
  CHECK(read("github-oauth", "github_app_authorization", "d", revoked).news.change == Change::none);
  CHECK(read("generic", "", "d", R"({"type":"tokens_revoked"})").news.change == Change::none);
  CHECK(read("gitlab", "Push Hook", "d", "{}").news.change == Change::none);
  CHECK(read("slack", "", "", R"({"type":"url_verification","challenge":"x"})").news.change ==
        Change::none);
}

TEST_CASE("T31 threat T31 webhook: what is not understood has a code of its own") {
  for (const char* body :
       {"", "x", "[]", "null", "{", R"({"action":"revoked"})", R"({"action":"revoked","sender":1})",
        R"({"action":"revoked","action":"revoked","sender":{"id":1}})", "\xEF\xBB\xBF{}",
        "payload=%7B%7D", R"({"action":"revoked","sender":{"id":1,"id":2}})"}) {
    CAPTURE(body);
    CHECK(github("github_app_authorization", body).error == Errc::webhook_unreadable);
  }
  const char* good = R"({"action":"revoked","sender":{"id":1}})";
  CHECK(github("", good).error == Errc::webhook_unreadable);
  CHECK(github("github_app_authorization", good, "").error == Errc::webhook_unreadable);
  CHECK(github("github_app_authorization", good, "a\nb").error == Errc::webhook_unreadable);
  CHECK(github("github_app_authorization", good, std::string(256, 'x')).error ==
        Errc::webhook_unreadable);
  CHECK(github("ping", std::string(64'001, ' ') + "{}").error == Errc::webhook_unreadable);
  CHECK(github("ping", std::string(63'998, ' ') + "{}").error == Errc::ok);
  Octets body = octets(good);
  std::vector<json::Node> few(3);
  webhook::Subject subject;
  CHECK(name(webhook::read(receiver_of("github-app"), "github_app_authorization", "d", body, now,
                           few, {&subject, 1})) == "webhook_unreadable");
  std::vector<json::Node> nodes(30);
  body = octets(good);
  CHECK(name(webhook::read(receiver_of("github-app"), "github_app_authorization", "d", body, now,
                           nodes, {})) == "webhook_unreadable");
}

TEST_CASE("webhook: a delivery cut at every byte is never news") {
  const std::string whole = R"({"action":"revoked","sender":{"id":123}})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(github("github_app_authorization", whole.substr(0, size)).error ==
          Errc::webhook_unreadable);
  }
}

TEST_CASE("T48 webhook: Slack says which tokens of whom") {
  const auto got = read(
      "slack", "", "",
      R"({"token":"x","team_id":"T1","api_app_id":"A1","event":{"type":"tokens_revoked","tokens":)"
      R"({"oauth":["U1","U2"],"bot":["B1"]}},"type":"event_callback","event_id":"Ev1",)"
      R"("event_time":1767225000})");
  CHECK(got.error == Errc::ok);
  CHECK(got.news.change == Change::revoked);
  CHECK(got.news.reach == Reach::account);
  CHECK(got.subjects == std::vector<std::pair<std::string, Tokens>>{
                            {"U1", Tokens::user}, {"U2", Tokens::user}, {"B1", Tokens::bot}});
  CHECK((got.news.has_at && got.news.at.value == 1'767'225'000'000));
  const auto only = [](const char* tokens) {
    return read("slack", "", "",
                std::string{R"({"event":{"type":"tokens_revoked","tokens":)"} + tokens + "}}");
  };
  CHECK(only(R"({"bot":["B1"]})").subjects.size() == 1);
  CHECK(only(R"({"oauth":["U1"]})").subjects.size() == 1);
  for (const char* tokens : {"{}", "[]", "null", R"({"oauth":[],"bot":[]})",
                             R"({"oauth":["U1"],"bot":[1.5]})", R"({"oauth":{"a":"U1"}})"}) {
    CHECK(only(tokens).error == Errc::webhook_unreadable);
  }
  std::string many = R"({"oauth":[)";
  for (int i = 0; i < 256; ++i) many += (i == 0 ? "\"U" : ",\"U") + std::to_string(i) + "\"";
  CHECK(only((many + "]}").c_str()).subjects.size() == 256);
  CHECK(only((many + ",\"U\"]}").c_str()).error == Errc::webhook_unreadable);

  const auto gone = read("slack", "", "",
                         R"({"team_id":"T1","event":{"type":"app_uninstalled"},"event_id":"Ev1"})");
  CHECK(gone.news.change == Change::deleted);
  CHECK(gone.news.reach == Reach::installation);
  CHECK(gone.subjects == std::vector<std::pair<std::string, Tokens>>{{"T1", Tokens::any}});
  CHECK(gone.key == got.key);
}

TEST_CASE("T48 webhook: installations, shops, workspaces and accounts elsewhere") {
  const auto deleted =
      github("installation", R"({"action":"deleted","installation":{"id":7,"account":{"id":9}}})");
  CHECK((deleted.news.change == Change::deleted && deleted.news.reach == Reach::installation));
  CHECK(deleted.subjects[0].first == "7");
  const auto suspended = github(
      "installation",
      R"({"action":"suspend","installation":{"id":7,"updated_at":"2021-04-28T22:32:50.000-04:00"}})");
  CHECK(suspended.news.change == Change::suspended);
  CHECK((suspended.news.has_at && suspended.news.at.value == 1'619'663'570'000));
  CHECK(github("installation",
               R"({"action":"unsuspend","installation":{"id":7,"updated_at":1619663570}})")
            .news.at.value == 1'619'663'570'000);
  CHECK(github("installation", R"({"action":"created","installation":{"id":7}})").news.change ==
        Change::none);

  const auto shop =
      read("shopify", "app/uninstalled", "w-1", R"({"id":548380009,"domain":"x.example"})");
  CHECK((shop.news.change == Change::deleted && shop.news.reach == Reach::account));
  CHECK(shop.subjects[0].first == "548380009");
  const auto linear =
      read("linear", "", "l-1",
           R"({"action":"revoked","type":"OAuthApp","organizationId":"o-1","oauthClientId":"c",)"
           R"("createdAt":"2025-12-31T23:59:59.5Z"})");
  CHECK((linear.news.change == Change::revoked && linear.news.reach == Reach::installation));
  CHECK(linear.subjects[0].first == "o-1");
  CHECK(linear.news.at.value == now.value - 500);
  const auto zoom =
      read("zoom", "", "",
           R"({"event":"app_deauthorized","payload":{"account_id":"a","user_id":"u-1",)"
           R"("deauthorization_time":"2019-06-17T13:52:28.632Z"}})");
  CHECK((zoom.news.change == Change::revoked && zoom.news.reach == Reach::account));
  CHECK(zoom.subjects[0].first == "u-1");
  CHECK(zoom.news.at.value == 1'560'779'548'632);
}

TEST_CASE("webhook: times") {
  const auto at = [](const std::string& json) {
    const auto got = read(
        "linear", "", "l",
        R"({"action":"revoked","type":"OAuthApp","organizationId":"o","createdAt":)" + json + "}");
    CHECK(got.news.change == Change::revoked);
    return got.news.has_at ? got.news.at.value : -1;
  };
  CHECK(at("\"1970-01-01T00:00:00Z\"") == 0);
  CHECK(at("\"2000-02-29T12:00:00Z\"") == 951'825'600'000);
  CHECK(at("\"2024-12-31T23:59:59.999999Z\"") == 1'735'689'599'999);
  CHECK(at("\"2024-03-01T00:00:00+05:30\"") == 1'709'231'400'000);
  CHECK(at("1767225600") == now.value);
  CHECK(at("1767225600000") == now.value);
  // Never later than now.
  CHECK(at("\"2999-01-01T00:00:00Z\"") == now.value);
  CHECK(at("999999999999999999") == now.value);
  for (const char* odd :
       {"null", "-1", "1.5", "\"\"", "\"2024-03-01\"", "\"2024-03-01T00:00:00\"",
        "\"2024-13-01T00:00:00Z\"", "\"2024-00-01T00:00:00Z\"", "\"2024-03-01 00:00:00Z\"",
        "\"2024-03-01T00:00:00.Z\"", "\"2024-03-01T00:00:00+05\"", "\"2024-03-01T00:00:00Zx\"",
        "[]", "true", "\"1969-12-31T23:59:59Z\""}) {
    CAPTURE(odd);
    CHECK(at(odd) == -1);
  }
}

TEST_CASE("threat T30 webhook: one delivery, one key") {
  const char* revoked = R"({"action":"revoked","sender":{"id":1}})";
  const auto key = [&](std::string_view id) {
    return github("github_app_authorization", revoked, id).key;
  };
  CHECK(key("d-1") == key("d-1"));
  CHECK(key("d-1") != key("d-2"));
  CHECK(key("d-1") == github("ping", "{}", "d-1").key);
  CHECK(key("d-1") == base64url(sha256(octets("id\nd-1"))));
  // Two revocations of one account are two deliveries with one body.
  CHECK(read("zoom", "", "", R"({"event":"x"})").key ==
        base64url(sha256(octets("body\n{\"event\":\"x\"}"))));
  CHECK(read("zoom", "", "", R"({"event":"x"})").key !=
        read("zoom", "", "", R"({"event":"y"})").key);
}

namespace {

/// What a store knows after deliveries in some order: the join of what they say.
struct World {
  std::set<std::string> seen;
  std::map<std::string, std::string> ended;
  std::map<std::string, std::pair<std::int64_t, int>> standing;  // the latest, refusing when equal

  void deliver(const Read& read) {
    if (read.error != Errc::ok || !seen.insert(read.key).second) return;
    for (const auto& [id, tokens] : read.subjects) {
      const std::string subject = std::to_string(static_cast<int>(read.news.reach)) + "/" + id +
                                  "/" + std::to_string(static_cast<int>(tokens));
      switch (read.news.change) {
      case Change::none: break;
      case Change::revoked:
      case Change::deleted: ended[subject] = "ended"; break;
      case Change::suspended:
      case Change::restored: {
        const std::pair said{read.news.at.value, read.news.change == Change::suspended ? 1 : 0};
        auto& kept = standing[subject];
        kept = std::max(kept, said);
        break;
      }
      }
    }
  }
  friend bool operator==(const World&, const World&) = default;
};

}  // namespace

TEST_CASE("T31 threat T31 webhook: every order of an installation's events, doubled, ends alike") {
  const auto event = [](const char* action, int second, const char* id) {
    return github("installation",
                  std::string{R"({"installation":{"id":7,"updated_at":"2025-12-31T00:00:0)"} +
                      std::to_string(second) + R"(Z"},"action":")" + action + "\"}",
                  id);
  };
  std::vector<Read> reads = {
      event("created", 1, "d-1"),
      event("suspend", 2, "d-2"),
      event("unsuspend", 3, "d-3"),
      event("suspend", 4, "d-4"),
      event("deleted", 5, "d-5"),
      github("github_app_authorization", R"({"action":"revoked","sender":{"id":1}})", "d-6")};
  World wanted;
  for (const Read& read : reads) wanted.deliver(read);
  CHECK(wanted.ended.size() == 2);
  CHECK(wanted.standing.begin()->second.second == 1);
  std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5};
  std::size_t orders = 0;
  do {
    World world;
    for (const std::size_t i : order) world.deliver(reads[i]);
    for (const std::size_t i : order) world.deliver(reads[i]);
    REQUIRE(world == wanted);
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(orders == 720);
}

TEST_CASE("external T31 webhook: GitHub's example payloads, twice and in every order of pairs") {
  Count count;
  std::vector<Read> reads;
  for (const Json& event :
       read_json(external("webhook-events") / "octokit-webhooks-examples-subset.json")) {
    const auto event_name = event.at("name").get<std::string>();
    for (const Json& example : event.at("examples")) {
      const std::string id = "d-" + std::to_string(reads.size());
      const auto got = github(event_name, example.dump(), id);
      const auto action = example.value("action", "");
      CAPTURE(event_name, action);
      CHECK(got.error == Errc::ok);
      Change wanted = Change::none;
      if (event_name == "github_app_authorization" && action == "revoked") wanted = Change::revoked;
      if (event_name == "installation" && action == "deleted") wanted = Change::deleted;
      if (event_name == "installation" && action == "suspend") wanted = Change::suspended;
      if (event_name == "installation" && action == "unsuspend") wanted = Change::restored;
      CHECK(got.news.change == wanted);
      if (wanted == Change::revoked) {
        CHECK(got.subjects[0].first ==
              std::to_string(example.at("sender").at("id").get<std::uint64_t>()));
      }
      reads.push_back(got);
      ++count.run;
    }
  }
  for (const Read& a : reads) {
    for (const Read& b : reads) {
      World one;
      World other;
      for (const Read* read : {&a, &a, &b, &b}) one.deliver(*read);
      for (const Read* read : {&b, &a, &b, &a}) other.deliver(*read);
      REQUIRE(one == other);
    }
  }
  CHECK(count.run == 56);
  count.report("GitHub webhook payloads");
}
