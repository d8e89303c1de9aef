/// Capabilities: what untrusted work gets in place of a token.
///
/// `lkc2.kid.claims[.narrowing]....tag`: claims and narrowings are JSON in base64url, the tag is
/// HMAC-SHA-256. The first tag is made with the ring's subkey over everything before it; each
/// narrowing is sealed with a tag made with the tag before as its key, which is then forgotten. So
/// whoever holds a capability can narrow it without asking anybody, and nobody can widen one.
/// `lkc1` is for work without a container.
#pragma once

#include "latchkey/keys.hpp"
#include "latchkey/types.hpp"

namespace latchkey::capability {

inline constexpr std::size_t max_text = 4'096;
inline constexpr std::size_t max_claim = 255;
inline constexpr std::size_t max_repo = 512;
inline constexpr std::size_t max_narrowings = 8;
inline constexpr std::size_t nonce_size = 16;
inline constexpr Millis skew = seconds(60);
inline constexpr Millis max_life_v1 = seconds(2LL * 3600);
inline constexpr Millis max_life_v2 = seconds(4LL * 3600);

enum class Purpose : std::uint8_t { git = 1, api = 2 };

/// What may be done, as bits. The numbers are `1 << (upstream::Right - 1)`.
inline constexpr std::uint8_t can_fetch = 1;
inline constexpr std::uint8_t can_push = 2;
inline constexpr std::uint8_t can_read = 4;
inline constexpr std::uint8_t can_write = 8;
inline constexpr std::uint8_t can_all = 15;

/// Whose credential stands behind it.
enum class Owner : std::uint8_t { user = 1, org = 2 };

/// Texts are 1..255 bytes of UTF-8 without control characters.
struct Claims {
  Purpose purpose{Purpose::git};
  Owner owner{Owner::user};
  std::string_view subject;  ///< on whose behalf
  std::string_view owner_id;
  std::string_view provider;
  std::string_view repo;  ///< 1..512 bytes, canonical; empty: any of the owner's
  std::string_view container;  ///< empty: none, which is version 1
  std::uint8_t can{0};  ///< at least one bit
  std::uint32_t epoch{0};  ///< of the owner when it was made
  UnixMillis issued_at{};
  UnixMillis expires_at{};
};

/// What a holder gives up. Empty and zero leave things as they are.
struct Narrowing {
  std::string_view repo;
  std::string_view container;
  std::uint8_t can{0};
  UnixMillis expires_at{};
  bool has_expires_at{false};
};

/// Makes a capability with the first key: version 2 with a container, 1 without.
///
/// @param claims   without `issued_at`, which is `now`; `expires_at` in whole seconds, after now
///                 and at most two hours later, four with a container.
/// @param entropy  at least 16 random bytes.
/// @return ok, or `key_ring_empty`, `capability_invalid` (claims, life, entropy),
///         `output_too_small`.
[[nodiscard]] Result<void> mint(keys::Ring ring, const Claims& claims, UnixMillis now,
                                Bytes entropy, Writer& out) noexcept;

/// Narrows a capability; needs no key. That it narrows is checked by whoever verifies.
///
/// @return ok, or `capability_invalid` (not of the form, nothing given up, too many narrowings, too
///         long), `output_too_small`.
[[nodiscard]] Result<void> attenuate(std::string_view text, const Narrowing& narrowing,
                                     Writer& out) noexcept;

/// What the verifier knows by itself.
struct Expected {
  UnixMillis now{};
  std::string_view container{};  ///< that the request came from; empty: from none
  std::uint32_t epoch{0};  ///< the owner's; older capabilities are revoked
  Purpose purpose{};  ///< that it is used for; none: any
  std::string_view provider{};  ///< whose credential is wanted; empty: any
};

/// Verifies a capability and reads what is left of it after every narrowing.
///
/// Checks, in this order: form, key, tag, claims (each once, none unknown, none missing, version 1
/// without a container and version 2 with one) and narrowings, issue time (at most 60 s ahead),
/// life (the cap of its version), purpose, all `capability_invalid`; expiry (dead at `exp`),
/// `capability_expired`; epoch, `capability_revoked`; provider, `provider_mismatch`; container,
/// `container_mismatch`.
///
/// A narrowing may name a repository or a container where none was named, and else only the same;
/// what may be done is what every one of them leaves, and at least something; the earliest end
/// counts.
///
/// @param scratch  at least as many bytes as the text has; holds what the result points into.
[[nodiscard]] Result<Claims> verify(keys::Ring ring, std::string_view text,
                                    const Expected& expected, MutBytes scratch) noexcept;

/// What the providers of the sessions' own capabilities begin with; the session's id follows. No
/// provider can be configured under such a name: they open nothing but their session's credential.
inline constexpr std::string_view session_prefix = "session:";

/// Whose epoch ends a capability.
enum class Ender : std::uint8_t { connection = 1, session = 2 };

/// Says whether a session's credential may be given for a verified capability.
///
/// The credential allows everything, so that what was narrowed is not traded for something wider;
/// and it is for one repository, so that the capability has to name it.
///
///     purpose  provider           can         repo     result
///     api      -                  -           -        not_allowed
///     git      another session's  -           -        not_allowed
///     git      -                  not both    -        not_allowed
///     git      -                  fetch push  not it   repository_mismatch
///     git      `own`              fetch push  it       session
///     git      any other          fetch push  it       connection
///
/// @param own   that the session's own name as their provider: `session_prefix` and its id.
/// @param repo  that is asked for, canonical.
/// @return whose end is its end: it is verified once more with that one's epoch; `not_allowed`
/// (also
///         where `own` is no such name), `repository_mismatch`.
[[nodiscard]] Result<Ender> redeem(const Claims& claims, std::string_view own,
                                   std::string_view repo) noexcept;

/// An owner's epoch after a revocation.
struct Revocation {
  std::uint32_t epoch{0};
  UnixMillis keep_until{};  ///< by then all that it ends have expired, and it can be forgotten
};

/// Ends every capability that was made so far.
///
/// The epoch is in seconds, so that a later one is higher even where this one has been forgotten;
/// within a second, or where the clock went back, it is one higher than it was.
///
/// @param epoch  as it is; 0: there was no revocation, or it has been forgotten.
[[nodiscard]] Revocation revoke(std::uint32_t epoch, UnixMillis now) noexcept;

}  // namespace latchkey::capability
