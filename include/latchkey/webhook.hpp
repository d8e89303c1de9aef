/// News that a provider sends: first whether it is from the provider, then what it means.
///
/// The signature is over the bytes as they came, so it is checked before anything in them is read.
/// What a provider signs, in which header, and which of its events say that a token is dead, is a
/// table with a row for each profile. A profile without a row has no webhooks that are known.
/// Left out: Discord and Google (RISC), whose signatures are not a MAC over the body.
#pragma once

#include "latchkey/crypto.hpp"
#include "latchkey/json.hpp"
#include "latchkey/profile.hpp"
#include "latchkey/types.hpp"

namespace latchkey::webhook {

/// How a delivery is signed; HMAC-SHA-256 with the secret, but for the last.
enum class Scheme : std::uint8_t {
  hub = 1,  ///< `sha256=` and lower-case hexadecimal, over the body
  hex = 2,  ///< lower-case hexadecimal, over the body
  base64 = 3,  ///< padded base64, over the body
  v0 = 4,  ///< `v0=` and lower-case hexadecimal, over `v0:<timestamp>:<body>`
  standard = 5,  ///< `v1,` and padded base64, over `<id>.<timestamp>.<body>`; several by blanks
  token = 6,  ///< the secret itself
};

/// What is known of one profile's webhooks. Header names are in lower case; empty: there is none.
struct Receiver {
  profile::Literal profile{};
  Scheme scheme{Scheme::hub};
  profile::Literal signature_header{};
  profile::Literal timestamp_header{};
  profile::Literal id_header{};  ///< of the delivery; a redelivery has the same
  profile::Literal id_path{};  ///< where it is a member of the body
  profile::Literal event_header{};
  profile::Literal event_path{};  ///< where it is a member of the body
};

/// Finds what is known of a profile.
///
/// @return null where no webhooks are known.
[[nodiscard]] const Receiver* find(std::string_view profile) noexcept;

/// A timestamp may be this much older or newer than now, exactly this much included.
inline constexpr Millis max_age = seconds(300);
inline constexpr std::size_t max_secret = 1024;

/// What stands in the headers that the receiver names; empty: absent.
struct Headers {
  std::string_view signature;
  std::string_view timestamp;
  std::string_view id;
};

/// A signature being checked. Plain bytes, as good as the secret: wiped by `finish`.
struct Stream {
  crypto::MacStream mac{};
  std::int64_t sent_at_ms{-1};  ///< -1: the scheme has no timestamp
  std::uint32_t scheme{0};
  std::uint32_t unused{0};
};

/// Begins to check a delivery, for bodies that do not fit into memory at once.
///
/// Checks, in this order: secret, timestamp (1..12 digits, no leading zero), id (1..255 visible
/// ASCII characters without a dot, which separates it from what follows).
///
/// @param secret  1..1,024 bytes as configured; with `Scheme::standard` padded base64 of 1 byte or
///                more, with or without `whsec_`.
/// @return the stream, or `key_invalid`, `webhook_invalid`.
[[nodiscard]] Result<Stream> begin(const Receiver& receiver, Bytes secret,
                                   const Headers& headers) noexcept;

/// Takes the next piece of the body.
void update(Stream& stream, Bytes piece) noexcept;

/// Says whether the delivery is from whoever has the secret. Wipes the stream.
///
/// Checks, in this order: form of the header, age, signature. The comparison has no branch that
/// depends on secret data. No prefix, blank, case or padding other than the scheme's is taken.
///
/// @param signature  at most 1,024 bytes; with `Scheme::standard` one good one of at most 16.
/// @return ok, or `webhook_invalid`.
/// @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries,
///      https://docs.slack.dev/authentication/verifying-requests-from-slack,
///      https://github.com/standard-webhooks/standard-webhooks
[[nodiscard]] Result<void> finish(Stream& stream, std::string_view signature,
                                  UnixMillis now) noexcept;

/// `begin`, `update` and `finish` in one.
///
/// @return ok, or `key_invalid`, `webhook_invalid`.
[[nodiscard]] Result<void> verify(const Receiver& receiver, Bytes secret, const Headers& headers,
                                  UnixMillis now, Bytes body) noexcept;

// What it means -----------------------------------------------------------------------------------

/// What became of what the subjects name.
enum class Change : std::uint8_t {
  none = 0,  ///< nothing that concerns a token; pass over it
  revoked = 1,  ///< its tokens are dead
  deleted = 2,  ///< the application was removed there; its tokens are dead
  suspended = 3,  ///< its tokens are refused until it is restored
  restored = 4,
};

/// What a subject is.
enum class Reach : std::uint8_t {
  none = 0,
  account = 1,  ///< a provider account: every connection with this account id, of any app type
  installation = 2,  ///< an installation, workspace or organisation, and everybody in it
};

/// Which tokens of a subject.
enum class Tokens : std::uint8_t { any = 0, user = 1, bot = 2 };

/// An id as text, as the stored account id is: a number as it is written, so that 123 is `123` and
/// none is too large.
struct Subject {
  std::string_view id;
  Tokens tokens{Tokens::any};
};

inline constexpr std::size_t max_subjects = 256;
inline constexpr std::size_t max_body = 64'000;
/// Providers send again for up to three days.
inline constexpr Millis remembered = seconds(3LL * 24 * 3600);

struct News {
  Change change{Change::none};
  Reach reach{Reach::none};
  bool has_at{false};
  UnixMillis at{0};  ///< when it happened, where the event says so; never later than now
  /// Handled before if this is stored: base64url of a hash of the delivery's id, or of the body
  /// where deliveries have none.
  SmallText<43> key;
  UnixMillis until{0};  ///< how long to store it
  std::uint16_t subjects{0};
};

/// Reads a delivery whose signature has been checked.
///
/// Checks, in this order: size, id and name of the event, JSON (an object), then the table: an
/// event it does not name is `Change::none`. Every event the table names has at least one subject.
/// A time that cannot be read is none.
///
/// @param event     value of the event header; passed over where the receiver has none.
/// @param delivery  value of the id header; likewise. 1..255 bytes without control characters.
/// @param body      at most 64,000 bytes; overwritten by the text that the subjects point into.
/// @param nodes     room for the values, fewer than 65,535.
/// @param subjects  filled; with fewer than `max_subjects` places more events are unreadable.
/// @return what it means, or `webhook_unreadable`: nothing is to be changed.
[[nodiscard]] Result<News> read(const Receiver& receiver, std::string_view event,
                                std::string_view delivery, MutBytes body, UnixMillis now,
                                std::span<json::Node> nodes, std::span<Subject> subjects) noexcept;

}  // namespace latchkey::webhook
