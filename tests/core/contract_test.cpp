// What holds for every public function: it does not throw, its result cannot be dropped, its result
// types are plain bytes, and nothing at all is an input like any other.
#include "support.hpp"

#include "latchkey/account.hpp"
#include "latchkey/admission.hpp"
#include "latchkey/answer.hpp"
#include "latchkey/callback.hpp"
#include "latchkey/classify.hpp"
#include "latchkey/config.hpp"
#include "latchkey/crypto.hpp"
#include "latchkey/disconnect.hpp"
#include "latchkey/error.hpp"
#include "latchkey/exchange.hpp"
#include "latchkey/guard.hpp"
#include "latchkey/json.hpp"
#include "latchkey/jws.hpp"
#include "latchkey/keys.hpp"
#include "latchkey/principal.hpp"
#include "latchkey/profile.hpp"
#include "latchkey/rate.hpp"
#include "latchkey/redact.hpp"
#include "latchkey/retention.hpp"
#include "latchkey/return_to.hpp"
#include "latchkey/run.hpp"
#include "latchkey/schedule.hpp"
#include "latchkey/scope.hpp"
#include "latchkey/seal.hpp"
#include "latchkey/state.hpp"
#include "latchkey/text.hpp"
#include "latchkey/tokens.hpp"
#include "latchkey/traits.hpp"
#include "latchkey/types.hpp"
#include "latchkey/url.hpp"
#include "latchkey/webhook.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

using namespace latchkey;
using namespace latchkey::test;

namespace {

template <class... T>
constexpr bool is_plain =
    (... && (std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T> &&
             std::is_standard_layout_v<T>));

// Results cross the module's boundary and are copied as bytes.
static_assert(is_plain<Result<void>, Result<std::size_t>, Result<UnixMillis>, Millis, UnixMillis,
                       SmallText<64>>);
static_assert(is_plain<crypto::MacKey, crypto::MacPrefix, crypto::SignKey, crypto::VerifyKey,
                       keys::Key, keys::PublicKey>);
static_assert(is_plain<jws::Verdict, jws::Parts, jws::Opened, json::Node>);
static_assert(std::is_trivially_copyable_v<json::Value> &&
              std::is_trivially_copyable_v<Result<json::Value>>);
static_assert(std::is_trivially_copyable_v<Result<state::State>> &&
              std::is_trivially_copyable_v<state::Issued> &&
              std::is_trivially_copyable_v<Result<principal::Principal>> &&
              std::is_trivially_copyable_v<Result<exchange::TokenSet>> &&
              std::is_trivially_copyable_v<Result<account::Account>> &&
              std::is_trivially_copyable_v<Result<scope::Target>> &&
              std::is_trivially_copyable_v<Result<url::Url>> &&
              std::is_trivially_copyable_v<Result<tokens::Pair>> &&
              std::is_trivially_copyable_v<refresh::Classified> &&
              std::is_trivially_copyable_v<refresh::Facts> &&
              std::is_trivially_copyable_v<callback::Plan> &&
              std::is_trivially_copyable_v<guard::Verdict> &&
              std::is_trivially_copyable_v<config::Config> &&
              std::is_trivially_copyable_v<config::Verdict> &&
              std::is_trivially_copyable_v<Result<webhook::News>>);
static_assert(
    is_plain<retention::Setting, retention::Expiry, retention::Cursor, retention::Sweep,
             retention::Orphan, retention::Link, retention::Erase, retention::Reconnect,
             retention::Stale, Result<retention::TerminalPlan>, retention::Prune, retention::Dedupe,
             retention::Rate, retention::Bucket, retention::Fingerprint>);
static_assert(std::is_trivially_copyable_v<retention::Run> &&
              std::is_trivially_copyable_v<retention::Recover> &&
              std::is_trivially_copyable_v<retention::Schedule>);
// A signature being checked leaves the module as bytes and comes back.
static_assert(is_plain<crypto::MacStream, webhook::Stream> && sizeof(webhook::Stream) == 152);

// Sizes that the glue and the stack of the module rely on.
static_assert(sizeof(Errc) == 1 && sizeof(PublicCode) == 1);
static_assert(sizeof(crypto::MacKey) == 64 && sizeof(crypto::SignKey) == 64);
static_assert(alignof(keys::Key) == 4 && alignof(keys::PublicKey) == 4);
static_assert(jws::max_token == 4'096 && state::max_token == 4'096 && seal::max_plain == 16'384);
static_assert(state::default_ttl == seconds(600) && state::max_ttl == seconds(3'600) &&
              state::default_skew == seconds(60) && state::max_skew == seconds(300));
static_assert(principal::max_ttl == seconds(300) && principal::skew == seconds(60));

// A result is read only after it has been looked at.
static_assert(!std::is_convertible_v<Result<int>, bool> &&
              !std::is_convertible_v<Result<int>, int>);
static_assert(noexcept(*std::declval<const Result<int>&>()) &&
              noexcept(std::declval<const Result<int>&>().error()) &&
              std::is_nothrow_copy_constructible_v<Result<state::State>>);

struct Declaration {
  std::string file;
  std::string text;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The text of a header without comments and preprocessor lines.
std::string code_of(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::string out;
  bool continued = false;
  for (std::string line; std::getline(file, line);) {
    const bool directive = continued || line.starts_with("#");
    continued = directive && line.ends_with("\\");
    if (!directive) out += line.substr(0, line.find("//")) + "\n";
  }
  return out;
}

// The head of every function that a header declares or defines; bodies are passed over.
std::vector<Declaration> declarations() {
  std::vector<Declaration> out;
  const auto folder = std::filesystem::path{LATCHKEY_SOURCE_DIR} / "include" / "latchkey";
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    const std::string code = code_of(entry.path());
    std::string head;
    int parentheses = 0;
    for (std::size_t i = 0; i < code.size(); ++i) {
      const char c = code[i];
      parentheses += c == '(' ? 1 : c == ')' ? -1 : 0;
      if (parentheses > 0 || (c != ';' && c != '{' && c != '}')) {
        head += c;
        continue;
      }
      const auto open = head.find('(');
      const bool is_function = c != '}' && open != std::string::npos && head.find('=') >= open &&
                               !has(head, "static_assert") && !has(head, "LK_CHECK");
      if (is_function) out.push_back({entry.path().filename().string(), head});
      if (is_function && c == '{') {
        for (int depth = 1; depth > 0;) {
          const char inner = code[++i];
          depth += inner == '{' ? 1 : inner == '}' ? -1 : 0;
        }
      }
      head.clear();
    }
  }
  return out;
}

}  // namespace

TEST_CASE("threat T26 contract: every public function is noexcept, and what it returns cannot be "
          "dropped") {
  std::size_t functions = 0;
  for (const auto& [file, text] : declarations()) {
    if (has(text, "= default")) continue;
    CAPTURE(file, text);
    CHECK(has(text, "noexcept"));
    const bool returns_nothing = has(text, "void ");
    const bool constructs = has(text, "Result(") || has(text, "Writer(") || has(text, "Value(") ||
                            has(text, "Literal(");
    if (!returns_nothing && !constructs) CHECK(has(text, "[[nodiscard]]"));
    ++functions;
  }
  CHECK(functions >= 100);
}

TEST_CASE("threat T26 contract: null and empty input to every function of the foundation") {
  CHECK(bytes_of({}).empty());
  CHECK(text_of({}).empty());

  CHECK(hex(crypto::sha256({}, {})) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(crypto::mac(crypto::mac_key({}), {}, {}, {})) ==
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  const Octets block(64);
  CHECK(crypto::mac({}, crypto::mac_prefix({}, Bytes{block}.first<64>()), {}) ==
        crypto::mac({}, block));
  CHECK(crypto::equal({}, {}));
  CHECK_FALSE(crypto::equal({}, Octets{0}));
  auto pieces = crypto::mac_begin(crypto::mac_key({}));
  crypto::mac_update(pieces, {});
  CHECK(crypto::mac_end(pieces) == crypto::mac(crypto::mac_key({}), {}));
  crypto::wipe({});
  crypto::hkdf({}, {}, {}, {});
  Octets out(32);
  crypto::hkdf({}, {}, {}, out);
  CHECK(hex(out) == "eb70f01dede9afafa449eee1b1286504e1f62388b3f7dd4f956697b0e828fe18");
  const auto key = crypto::sign_key({});
  CHECK(crypto::verify(crypto::verify_key(key.public_key()), {}, crypto::sign(key, {})));
  CHECK_FALSE(crypto::verify({}, {}, {}));
  Octets tag(16);
  crypto::aead_seal({}, Octets(24), {}, {}, tag);
  CHECK(crypto::aead_open({}, Octets(24), {}, tag, {}));
  CHECK_FALSE(crypto::aead_open({}, Octets(24), {}, {}, {}));

  Writer nowhere{{}};
  text::base64url_put(nowhere, {});
  CHECK_FALSE(nowhere.overflow());
  CHECK(text::base64url_decode({}, {}).error() == Errc::ok);
  CHECK(name(text::base64url_decode("AA", {})) == "output_too_small");
  CHECK(name(text::decode_key32({}, out)) == "key_invalid");
  CHECK(text::is_ascii({}));
  CHECK(text::is_utf8({}));
  CHECK_FALSE(text::is_plain({}, 255));

  json::Node nodes[1];
  CHECK(name(json::parse({}, nodes)) == "json_invalid");
  CHECK(name(json::parse({}, {})) == "json_invalid");
  Octets number{'1'};
  CHECK(name(json::parse(number, {})) == "json_invalid");
  json::put_string(nowhere, {});
  json::put_integer(nowhere, 0);
  CHECK(nowhere.overflow());
}

TEST_CASE("threat T26 contract: null and empty input to keys, tokens and sealing") {
  CHECK_FALSE(keys::is_kid({}));
  Writer nowhere{{}};
  CHECK(name(keys::generate({}, {}, nowhere)) == "key_invalid");
  CHECK(name(keys::generate("k", Octets(32), nowhere)) == "output_too_small");
  CHECK(name(keys::parse({}, {})) == "key_ring_empty");
  CHECK(name(keys::parse(k1.entry(), {})) == "key_invalid");
  keys::put_header(nowhere, {}, {}, {});
  keys::put_jwks({}, nowhere);
  CHECK(nowhere.overflow());
  CHECK(name(keys::parse_jwks({}, {})) == "jwks_invalid");

  jws::Parts parts;
  CHECK_FALSE(jws::split({}, parts));
  const auto ring = ring_of({k1});
  for (const auto use : {jws::Use::state, jws::Use::capability, jws::Use::principal}) {
    CHECK_FALSE(jws::typ_of(use).empty());
    for (const std::string_view token : {std::string_view{}, std::string_view{"a.b.c"}}) {
      CHECK_FALSE(jws::open(keys::Ring{}, use, token).good);
      CHECK_FALSE(jws::open(keys::Ring{ring}, use, token).good);
      CHECK_FALSE(jws::open(keys::PublicKeys{}, use, token).good);
    }
    CHECK(name(jws::sign(ring, use, jws::Alg::hs256, {}, nowhere)) == "output_too_small");
    CHECK(traps([&] { static_cast<void>(jws::sign({}, use, jws::Alg::hs256, "{}", nowhere)); }));
    if (use == jws::Use::state) continue;
    CHECK(traps([&] { static_cast<void>(jws::sign(ring, use, jws::Alg::eddsa, "{}", nowhere)); }));
  }

  CHECK(name(seal::seal({}, {}, {}, {}, {}, nowhere)) == "key_ring_empty");
  CHECK(name(seal::seal(ring, {}, {}, {}, {}, nowhere)) == "claim_invalid");
  CHECK(name(seal::seal(ring, {}, {}, Octets(24), {}, nowhere)) == "output_too_small");
  CHECK(name(seal::open({}, {}, {}, {})) == "seal_invalid");
  CHECK(name(seal::open(ring, "lks1.k1.AAAA", {}, {})) == "seal_invalid");
}

TEST_CASE("threat T26 contract: null and empty input to the engines that read tokens") {
  const auto ring = ring_of({k1});
  CHECK(name(state::issue({}, {}, {}, {}, {})) == "key_ring_empty");
  CHECK(name(state::issue(ring, {}, {}, {}, {})) == "claim_invalid");
  CHECK(name(state::verify(keys::Ring{}, {}, {}, {})) == "state_missing");
  CHECK(name(state::verify(keys::Ring{}, "a", {}, {})) == "state_malformed");
  CHECK(name(state::verify(keys::PublicKeys{}, {}, {}, {})) == "state_missing");
  CHECK(name(state::verify(keys::PublicKeys{}, "a.b.c", {}, {})) == "state_malformed");
  CHECK(name(state::peek({}, {})) == "state_malformed");
  CHECK(name(state::peek("a.AA.c", {})) == "state_malformed");
  CHECK(name(state::code_verifier({}, {}, {})) == "state_payload_invalid");
  CHECK(name(state::code_verifier(ring, {}, base64url(Octets(16)))) == "state_unknown_key");

  Writer nowhere{{}};
  CHECK(name(principal::issue({}, {}, {}, {}, nowhere)) == "key_ring_empty");
  CHECK(name(principal::issue(ring, {}, {}, {}, nowhere)) == "principal_invalid");
  CHECK(name(principal::verify({}, {}, {}, {})) == "principal_missing");
  CHECK(name(principal::verify({}, "a.b.c", {}, {})) == "principal_invalid");
}

TEST_CASE("threat T26 contract: null and empty input to the decisions") {
  Octets space(max_return_to);
  CHECK(name(return_to({}, {}, space)) == "return_to_invalid");
  CHECK_FALSE(is_return_to({}));
  CHECK_FALSE(url::parse({}));
  CHECK_FALSE(url::is_loopback_host({}));

  const auto plan = callback::plan({});
  CHECK(plan.action == callback::Action::redirect);
  CHECK(plan.consume.nonce.empty());
  CHECK_FALSE(guard::request({}).ok);
  CHECK_FALSE(guard::outbound({}, {}, 0, false));
  CHECK_FALSE(guard::outbound({}, {}, 0, true));

  CHECK(profile::find({}) == nullptr);
  CHECK_FALSE(profile::all().empty());
  CHECK_FALSE(profile::is_scope_token({}));
  const profile::Profile none;
  CHECK_FALSE(exchange::read(0, {}, {}, {}, none));
  CHECK_FALSE(exchange::read(200, {}, {}, {}, none));
  CHECK_FALSE(tokens::is_token({}));
  CHECK(tokens::client_error({}).empty());
  CHECK_FALSE(tokens::has_access({}, none));
  CHECK_FALSE(tokens::read({}, {}, none, tokens::Types::by_place));
  const auto facts = refresh::facts_of(none, false);
  CHECK(facts.traits.rotation == refresh::traits_of(none).rotation);
  CHECK(refresh::is_consistent(facts.traits));
  CHECK(refresh::classify({}, {}, none, facts, {}).reply.kind ==
        refresh::ReplyClass::not_understood);
  CHECK(refresh::classify(refresh::Absence::reset).reply.doubt == refresh::Doubt::silent);
  CHECK_FALSE(account::read(0, {}, {}, none));
  CHECK_FALSE(account::read(200, {}, {}, none));
  CHECK_FALSE(answer::read({}, {}, {}));
  CHECK_FALSE(answer::is_said({}));
  static_cast<void>(disconnect::decide(disconnect::read(0, {}, {})));
  CHECK_FALSE(disconnect::decide({}).revoked);

  CHECK_FALSE(scope::write_target({}));
  CHECK(redact::redact({}, {}).error() == Errc::ok);
  CHECK(name(redact::redact("a", {})) == "output_too_small");
  CHECK(webhook::find({}) == nullptr);
  const webhook::Receiver nobody;
  CHECK(name(webhook::begin(nobody, {}, {})) == "key_invalid");
  CHECK(name(webhook::verify(nobody, {}, {}, {}, {})) == "key_invalid");
  CHECK(name(webhook::verify(nobody, Octets{1}, {}, {}, {})) == "webhook_invalid");
  webhook::Stream stream;
  webhook::update(stream, {});
  CHECK(name(webhook::finish(stream, {}, {})) == "webhook_invalid");
  CHECK(name(webhook::read(nobody, {}, {}, {}, {}, {}, {})) == "webhook_unreadable");
  namespace keep = retention;
  CHECK(keep::setting({}, {}, {}).reason == keep::Taken::unset);
  CHECK(keep::setting("", {}, {}).reason == keep::Taken::blank);
  CHECK(keep::expiry({}, {}, {}, {}).expired);
  CHECK(keep::sweep(0, {}, 0, {}, {}, {}).action == keep::Sweeping::finished);
  CHECK(keep::keep_newest({}, {}, 3, 64, {}) == 0);
  CHECK(traps([] {
    keep::Fate fate{};
    static_cast<void>(keep::keep_newest({}, {}, 3, 64, {&fate, 1}));
  }));
  CHECK(traps([] { static_cast<void>(keep::lifetime(static_cast<keep::Kind>(keep::kinds))); }));
  CHECK(keep::orphan({}).action == keep::Orphaned::leave);
  CHECK_FALSE(keep::resumes({}, {}));
  CHECK(keep::link(keep::LinkState::pending, {}, true, {}).state == keep::LinkState::expired);
  const keep::Erased nothing_erased[keep::erase_steps]{};
  CHECK(keep::erase(nothing_erased).step == keep::EraseStep::block);
  CHECK(keep::reconnect({}, {}, {}).surface);
  CHECK_FALSE(keep::stale({}, {}, {}).stale);
  CHECK_FALSE(keep::prune({}, {}, {}).remove);
  CHECK(keep::terminal(keep::Status::running, {}, keep::Cause::none)->action == keep::Ending::wait);
  CHECK(keep::recover({}, {}, {}, {}).reason == keep::Why::unavailable);
  CHECK(keep::schedule({}, {}).action == keep::Advance::none);
  CHECK(keep::fingerprint({}).view() == std::string(32, '0'));
  CHECK(keep::dedupe({}, 0, {}, {}, 0).forward);
  CHECK(keep::rate_limit({}, true, {}, {}).allow);
  CHECK(keep::bucket({}).view() == "anonymous");
  CHECK(name(url::parse_address({})) == "claim_invalid");
  CHECK_FALSE(scope::connect_target({}, scope::Scope::user));
  CHECK_FALSE(scope::connect_target({}, scope::Scope::org));
  CHECK_FALSE(scope::erase_target({}, scope::Eraser::service, {}));
  CHECK_FALSE(scope::leave_target({}, scope::Eraser::service, {}, {}));
  CHECK_FALSE(scope::write_plan({}, {}, {}));
  CHECK_FALSE(scope::delete_plan({}, {}));
  // Nobody has no places, and a request of nothing is none.
  CHECK(scope::read_plan({}, scope::Membership::known, {})->size == 0);
  CHECK(scope::resolve({}, scope::Membership::known, {}, {}, {})->outcome ==
        scope::Outcome::nobody);
  CHECK_FALSE(scope::gap({}, scope::Membership::known, {}));
  CHECK_FALSE(scope::may_mutate({}));
  CHECK_FALSE(scope::visible({}, {}).visible);
  CHECK(scope::sweep({}, {}, {}).action == scope::Sweep::keep);
  CHECK(scope::complete({}).status == 404);
  CHECK_FALSE(scope::choose_installation({}, scope::Membership::known, {}, {}, {}));
  CHECK(scope::choose_token_source({}).source == scope::Source::none);
  CHECK(scope::access({}).access == scope::Access::transient);
  std::uint8_t no_scope[4];
  Writer unsaid{no_scope};
  scope::missing(scope::Family::github, {}, {}, unsaid);
  CHECK(unsaid.size() == 0);

  const auto config = std::make_unique<config::Config>();
  CHECK_FALSE(static_cast<bool>(config::check({}, {}, {}, *config)));
}
