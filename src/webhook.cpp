#include "latchkey/webhook.hpp"

#include "latchkey/text.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace latchkey::webhook {
namespace {

using json::Kind;
using json::Value;

// The table ---------------------------------------------------------------------------------------

// Rows are our own words for vendor facts.
constexpr std::array<Receiver, 8> receivers{{
    {.profile = "generic",
     .scheme = Scheme::standard,
     .signature_header = "webhook-signature",
     .timestamp_header = "webhook-timestamp",
     .id_header = "webhook-id",
     .event_path = "type"},
    {.profile = "github-app",
     .scheme = Scheme::hub,
     .signature_header = "x-hub-signature-256",
     .id_header = "x-github-delivery",
     .event_header = "x-github-event"},
    {.profile = "github-oauth",
     .scheme = Scheme::hub,
     .signature_header = "x-hub-signature-256",
     .id_header = "x-github-delivery",
     .event_header = "x-github-event"},
    {.profile = "gitlab",
     .scheme = Scheme::token,
     .signature_header = "x-gitlab-token",
     .id_header = "x-gitlab-event-uuid",
     .event_header = "x-gitlab-event"},
    {.profile = "linear",
     .scheme = Scheme::hex,
     .signature_header = "linear-signature",
     .id_header = "linear-delivery",
     .event_path = "type"},
    {.profile = "shopify",
     .scheme = Scheme::base64,
     .signature_header = "x-shopify-hmac-sha256",
     .id_header = "x-shopify-webhook-id",
     .event_header = "x-shopify-topic"},
    {.profile = "slack",
     .scheme = Scheme::v0,
     .signature_header = "x-slack-signature",
     .timestamp_header = "x-slack-request-timestamp",
     .id_path = "event_id",
     .event_path = "event.type"},
    {.profile = "zoom",
     .scheme = Scheme::v0,
     .signature_header = "x-zm-signature",
     .timestamp_header = "x-zm-request-timestamp",
     .event_path = "event"},
}};

/// An event that says something about tokens. Of two rows for one event, both count.
struct Rule {
  profile::Literal profile{};
  profile::Literal event{};
  profile::Literal action{};  // what the member `action` says; empty: it is not looked at
  profile::Literal subject{};  // an id, or an array of them
  profile::Literal at{};
  Change change{Change::none};
  Reach reach{Reach::none};
  Tokens tokens{Tokens::any};
};

constexpr std::array<Rule, 10> rules{{
    // A person's revocation ends the tokens of every session, whatever it was for.
    {"github-app",
     "github_app_authorization",
     "revoked",
     "sender.id",
     {},
     Change::revoked,
     Reach::account,
     Tokens::any},
    {"github-app",
     "installation",
     "deleted",
     "installation.id",
     {},
     Change::deleted,
     Reach::installation,
     Tokens::any},
    {"github-app", "installation", "suspend", "installation.id", "installation.updated_at",
     Change::suspended, Reach::installation, Tokens::any},
    {"github-app", "installation", "unsuspend", "installation.id", "installation.updated_at",
     Change::restored, Reach::installation, Tokens::any},
    {"linear", "OAuthApp", "revoked", "organizationId", "createdAt", Change::revoked,
     Reach::installation, Tokens::any},
    // The account of a connection is the shop.
    {"shopify", "app/uninstalled", {}, "id", {}, Change::deleted, Reach::account, Tokens::any},
    {"slack",
     "app_uninstalled",
     {},
     "team_id",
     "event_time",
     Change::deleted,
     Reach::installation,
     Tokens::any},
    // Which kind of token matters: a bot's ids are others than a person's.
    {"slack",
     "tokens_revoked",
     {},
     "event.tokens.oauth",
     "event_time",
     Change::revoked,
     Reach::account,
     Tokens::user},
    {"slack",
     "tokens_revoked",
     {},
     "event.tokens.bot",
     "event_time",
     Change::revoked,
     Reach::account,
     Tokens::bot},
    {"zoom",
     "app_deauthorized",
     {},
     "payload.user_id",
     "payload.deauthorization_time",
     Change::revoked,
     Reach::account,
     Tokens::any},
}};

// Signatures --------------------------------------------------------------------------------------

constexpr std::size_t max_signature = 1024;
constexpr unsigned max_signatures = 16;

bool is_digits(std::string_view text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Seconds; -1 for what is not exactly one spelling of them.
std::int64_t seconds_of(std::string_view text) noexcept {
  constexpr std::size_t max_digits = 12;
  if (!is_digits(text) || text.size() > max_digits || (text.size() > 1 && text[0] == '0'))
    return -1;
  std::int64_t out = 0;
  for (const char c : text) out = out * 10 + (c - '0');
  return out;
}

bool is_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '.';
  });
}

// The standard alphabet, padded, one spelling.
std::size_t from_base64(std::string_view text, MutBytes out) noexcept {
  char url[max_secret];
  if (text.size() % 4 != 0 || text.size() > sizeof url) return 0;
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '-' || c == '_') return 0;
    url[i] = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  const auto size = text::base64url_decode({url, text.size()}, out);
  crypto::wipe_object(url);
  return size ? *size : 0;
}

bool from_hex(std::string_view text, crypto::Tag& out) noexcept {
  constexpr std::string_view digits = "0123456789abcdef";
  if (text.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = digits.find(text[i]);
    if (digit == std::string_view::npos) return false;
    const auto before = static_cast<std::size_t>(out[i / 2]) << 4;
    out[i / 2] = static_cast<std::uint8_t>(before | digit);
  }
  return true;
}

bool from_base64(std::string_view text, crypto::Tag& out) noexcept {
  constexpr std::size_t size = 44;
  return text.size() == size && from_base64(text, MutBytes{out}) == out.size();
}

// Cuts a prefix off; false where it is missing.
bool take(std::string_view& text, std::string_view prefix) noexcept {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_one_of(std::string_view list, const crypto::Tag& tag) noexcept {
  bool found = false;
  for (unsigned n = 0; n < max_signatures; ++n) {
    const std::size_t end = std::min(list.find(' '), list.size());
    std::string_view one = list.substr(0, end);
    crypto::Tag said{};
    // Signatures of other versions are passed over: there may be newer ones.
    if (take(one, "v1,") && from_base64(one, said)) found |= crypto::equal(said, tag);
    if (end == list.size()) return found;
    list.remove_prefix(end + 1);
  }
  return false;
}

bool is_signed(Scheme scheme, std::string_view signature, const crypto::Tag& tag) noexcept {
  crypto::Tag said{};
  switch (scheme) {
  case Scheme::hub:
    return take(signature, "sha256=") && from_hex(signature, said) && crypto::equal(said, tag);
  case Scheme::v0:
    return take(signature, "v0=") && from_hex(signature, said) && crypto::equal(said, tag);
  case Scheme::hex: return from_hex(signature, said) && crypto::equal(said, tag);
  case Scheme::base64: return from_base64(signature, said) && crypto::equal(said, tag);
  case Scheme::standard: return is_one_of(signature, tag);
  // The tag is of the secret; two tags are compared so that no length is told.
  case Scheme::token: return crypto::equal(crypto::sha256(bytes_of(signature)), tag);
  }
  return false;
}

// Events ------------------------------------------------------------------------------------------

Value at_path(Value value, std::string_view path) noexcept {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('.'), path.size());
    value = value.member(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return value;
}

std::string_view id_of(const Value& value) noexcept {
  constexpr std::size_t max_id = 255;
  std::string_view out = value.text();
  if (value.is(Kind::integer) || value.is(Kind::number)) {
    // As it is written: a sign, a fraction or an exponent would give one id two spellings.
    out = value.node().text;
    if (!is_digits(out)) return {};
  }
  return text::is_plain(out, max_id) ? out : std::string_view{};
}

/// `YYYY-MM-DDThh:mm:ss`, perhaps a fraction, `Z` or `+hh:mm` (RFC 3339); -1 for anything else.
class DateReader {
public:
  explicit DateReader(std::string_view text) noexcept : text_{text} {}

  std::int64_t read() noexcept {
    const std::int64_t year = number(4);
    const std::int64_t month = number(2, '-');
    const std::int64_t day = number(2, '-');
    std::int64_t second = number(2, 'T') * 3600;
    second += number(2, ':') * 60;
    second += number(2, ':');
    std::int64_t ms = 0;
    if (take(text_, ".")) {
      std::int64_t unit = 100;
      good_ = good_ && is_digits(text_.substr(0, 1));
      for (; is_digits(text_.substr(0, 1)); unit /= 10, text_.remove_prefix(1)) {
        ms += (text_[0] - '0') * unit;
      }
    }
    if (!take(text_, "Z")) {
      const std::int64_t sign = text_.starts_with('-') ? 1 : -1;
      const char mark = sign > 0 ? '-' : '+';
      const std::int64_t hours = number(2, mark);
      second += sign * (hours * 3600 + number(2, ':') * 60);
    }
    if (!good_ || !text_.empty() || month < 1 || month > 12 || day < 1 || day > 31) return -1;
    // Days since 1970-01-01 of the proleptic Gregorian calendar, in years that begin in March.
    const std::int64_t y = month < 3 ? year - 1 : year;
    const std::int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    const std::int64_t days = y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719'468;
    return (days * 86'400 + second) * 1000 + ms;
  }

private:
  std::int64_t number(std::size_t digits, char before = '\0') noexcept {
    if (before != '\0' && !take(text_, {&before, 1})) good_ = false;
    const std::string_view part = text_.substr(0, digits);
    if (part.size() != digits || !is_digits(part)) good_ = false;
    if (!good_) return 0;
    std::int64_t out = 0;
    for (const char c : part) out = out * 10 + (c - '0');
    text_.remove_prefix(digits);
    return out;
  }

  std::string_view text_;
  bool good_{true};
};

// Text is a date; a number counts seconds, or milliseconds where it is too large for that.
std::int64_t millis_of(const Value& value) noexcept {
  constexpr std::int64_t largest_seconds = 100'000'000'000;
  if (value.is(Kind::text)) return DateReader{value.text()}.read();
  if (!value.is(Kind::integer)) return -1;
  const std::int64_t n = value.node().integer;
  return n < largest_seconds ? n * 1000 : n;
}

class Subjects {
public:
  explicit Subjects(std::span<Subject> out) noexcept : out_{out} {}

  // One id, or each of an array; false where something else stands there.
  bool add(const Value& value, Tokens tokens) noexcept {
    if (!value.is(Kind::array)) return add_one(value, tokens);
    for (Value item = value.first(); item.present(); item = value.next(item)) {
      if (!add_one(item, tokens)) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
  bool add_one(const Value& value, Tokens tokens) noexcept {
    const std::string_view id = id_of(value);
    if (id.empty() || size_ == out_.size()) return false;
    out_[size_++] = {id, tokens};
    return true;
  }

  std::span<Subject> out_;
  std::size_t size_{0};
};

}  // namespace

const Receiver* find(std::string_view profile) noexcept {
  for (const Receiver& row : receivers) {
    if (std::string_view{row.profile} == profile) return &row;
  }
  return nullptr;
}

Result<Stream> begin(const Receiver& receiver, Bytes secret, const Headers& headers) noexcept {
  if (secret.empty() || secret.size() > max_secret) return Errc::key_invalid;
  Stream out;
  out.scheme = static_cast<std::uint32_t>(receiver.scheme);
  std::uint8_t decoded[max_secret];
  if (receiver.scheme == Scheme::standard) {
    std::string_view text = text_of(secret);
    static_cast<void>(take(text, "whsec_"));
    secret = Bytes{decoded}.first(from_base64(text, decoded));
    if (secret.empty()) return Errc::key_invalid;
  }
  if (!receiver.timestamp_header.empty()) {
    const std::int64_t sent_at = seconds_of(headers.timestamp);
    if (sent_at < 0) return Errc::webhook_invalid;
    out.sent_at_ms = sent_at * 1000;
  }
  const auto update_text = [&out](std::string_view text) noexcept { update(out, bytes_of(text)); };
  crypto::MacKey key = crypto::mac_key(secret);
  out.mac = crypto::mac_begin(key);
  switch (receiver.scheme) {
  case Scheme::hub:
  case Scheme::hex:
  case Scheme::base64: break;
  case Scheme::v0:
    update_text("v0:");
    update_text(headers.timestamp);
    update_text(":");
    break;
  case Scheme::standard:
    if (!is_id(headers.id)) return Errc::webhook_invalid;
    update_text(headers.id);
    update_text(".");
    update_text(headers.timestamp);
    update_text(".");
    break;
  case Scheme::token: {
    const auto digest = crypto::sha256(secret);
    std::copy(digest.begin(), digest.end(), out.mac.rest.begin());
    break;
  }
  }
  crypto::wipe_object(key);
  crypto::wipe_object(decoded);
  return out;
}

void update(Stream& stream, Bytes piece) noexcept {
  // A secret that is sent as it is says nothing about the body.
  if (stream.scheme == static_cast<std::uint32_t>(Scheme::token)) return;
  crypto::mac_update(stream.mac, piece);
}

Result<void> finish(Stream& stream, std::string_view signature, UnixMillis now) noexcept {
  const auto scheme = static_cast<Scheme>(stream.scheme);
  const std::int64_t sent_at = stream.sent_at_ms;
  crypto::Tag tag{};
  if (scheme == Scheme::token) {
    std::copy_n(stream.mac.rest.begin(), tag.size(), tag.begin());
  } else {
    tag = crypto::mac_end(stream.mac);
  }
  crypto::wipe_object(stream);
  const bool fresh =
      sent_at < 0 || (sent_at <= now.value + max_age.value && sent_at >= now.value - max_age.value);
  const bool good = fresh && !signature.empty() && signature.size() <= max_signature &&
                    is_signed(scheme, signature, tag);
  crypto::wipe_object(tag);
  if (!good) return Errc::webhook_invalid;
  return {};
}

Result<void> verify(const Receiver& receiver, Bytes secret, const Headers& headers, UnixMillis now,
                    Bytes body) noexcept {
  const auto begun = begin(receiver, secret, headers);
  if (!begun) return begun.error();
  Stream stream = *begun;
  update(stream, body);
  return finish(stream, headers.signature, now);
}

Result<News> read(const Receiver& receiver, std::string_view event, std::string_view delivery,
                  MutBytes body, UnixMillis now, std::span<json::Node> nodes,
                  std::span<Subject> subjects) noexcept {
  constexpr std::size_t max_header = 255;
  if (body.size() > max_body) return Errc::webhook_unreadable;
  // Parsing overwrites the body.
  crypto::Sha256 digest = crypto::sha256(bytes_of("body\n"), body);
  if (!receiver.id_header.empty() && !text::is_plain(delivery, max_header)) {
    return Errc::webhook_unreadable;
  }
  if (!receiver.event_header.empty() && !text::is_plain(event, max_header)) {
    return Errc::webhook_unreadable;
  }
  const auto root = json::parse(body, nodes);
  if (!root || !root->is(Kind::object)) return Errc::webhook_unreadable;

  if (receiver.event_header.empty()) event = at_path(*root, receiver.event_path).text();
  if (receiver.id_header.empty()) delivery = id_of(at_path(*root, receiver.id_path));
  if (!delivery.empty()) digest = crypto::sha256(bytes_of("id\n"), bytes_of(delivery));

  News out;
  std::uint8_t key[decltype(out.key)::capacity];
  Writer writer{key};
  text::base64url_put(writer, digest);
  out.key.assign(text_of(writer.written()));
  out.until = now.plus(remembered);

  Subjects found{subjects};
  const std::string_view action = root->member("action").text();
  for (const Rule& rule : rules) {
    if (std::string_view{rule.profile} != receiver.profile) continue;
    if (std::string_view{rule.event} != event) continue;
    if (!rule.action.empty() && std::string_view{rule.action} != action) continue;
    out.change = rule.change;
    out.reach = rule.reach;
    const Value subject = at_path(*root, rule.subject);
    const bool is_left_out = rule.tokens != Tokens::any && !subject.present();
    if (!is_left_out && !found.add(subject, rule.tokens)) return Errc::webhook_unreadable;
    const std::int64_t at = rule.at.empty() ? -1 : millis_of(at_path(*root, rule.at));
    out.has_at = at >= 0;
    if (out.has_at) out.at = {std::min(at, now.value)};
  }
  out.subjects = static_cast<std::uint16_t>(found.size());
  if (out.change != Change::none && out.subjects == 0) return Errc::webhook_unreadable;
  return out;
}

}  // namespace latchkey::webhook
