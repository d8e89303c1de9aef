/// What several tests share: keys, tokens made without the engines, text forms, a seeded generator.
///
/// Tokens and derived keys come straight from libsodium and from slow code that is easy to check,
/// so that an engine is never compared with itself.
#pragma once

#include "latchkey/error.hpp"
#include "latchkey/keys.hpp"
#include "latchkey/types.hpp"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_kdf_hkdf_sha256.h>
#include <sodium/crypto_sign_ed25519.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace latchkey::test {

using Octets = std::vector<std::uint8_t>;

/// A copy in memory of exactly its size, so that a sanitizer sees every step outside.
inline Octets octets(std::string_view text) { return {text.begin(), text.end()}; }

inline std::string string_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// The name of the error, `ok` when there is none: what a failing check should print.
template <class T> std::string name(const Result<T>& result) {
  return std::string{to_string(result.error())};
}
inline std::string name(Errc code) { return std::string{to_string(code)}; }

inline constexpr std::string_view base64url_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 section 5, one bit after the other.
inline std::string base64url(Bytes bytes) {
  std::string out;
  unsigned value = 0;
  unsigned bits = 0;
  for (const std::uint8_t byte : bytes) {
    for (int i = 7; i >= 0; --i) {
      value = value << 1 | ((byte >> i) & 1U);
      if (++bits == 6) {
        out += base64url_digits[value];
        value = bits = 0;
      }
    }
  }
  if (bits > 0) out += base64url_digits[value << (6 - bits)];
  return out;
}
inline std::string base64url(std::string_view text) { return base64url(bytes_of(text)); }

/// The bytes of a text that is their one canonical spelling.
inline std::optional<Octets> from_base64url(std::string_view text) {
  Octets out;
  unsigned value = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto digit = base64url_digits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    for (int i = 5; i >= 0; --i) {
      value = value << 1 | (static_cast<unsigned>(digit >> i) & 1U);
      if (++bits == 8) {
        out.push_back(static_cast<std::uint8_t>(value));
        value = bits = 0;
      }
    }
  }
  if (base64url(out) != text) return std::nullopt;
  return out;
}

inline Octets from_hex(std::string_view text) {
  const auto digit = [](char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto at = digits.find(c);
    LK_CHECK(at != std::string_view::npos);
    return static_cast<std::uint8_t>(at);
  };
  LK_CHECK(text.size() % 2 == 0);
  Octets out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(digit(text[i]) * 16 + digit(text[i + 1])));
  }
  return out;
}

inline std::string hex(Bytes bytes) {
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

inline Octets sha256(Bytes bytes) {
  Octets out(32);
  crypto_hash_sha256(out.data(), bytes.data(), bytes.size());
  return out;
}

inline Octets hmac(Bytes key, Bytes message) {
  Octets out(32);
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, message.data(), message.size());
  crypto_auth_hmacsha256_final(&state, out.data());
  return out;
}

/// One entry of a configured ring, from outside: a key id and 32 equal bytes.
struct RawKey {
  std::string kid;
  std::uint8_t fill;

  [[nodiscard]] Octets secret() const { return Octets(32, fill); }
  [[nodiscard]] std::string entry() const { return kid + ":" + hex(secret()); }

  [[nodiscard]] Octets derived(std::string_view info) const {
    const Octets ikm = secret();
    Octets prk(crypto_kdf_hkdf_sha256_KEYBYTES);
    Octets out(32);
    crypto_kdf_hkdf_sha256_extract(prk.data(), nullptr, 0, ikm.data(), ikm.size());
    crypto_kdf_hkdf_sha256_expand(out.data(), out.size(), info.data(), info.size(), prk.data());
    return out;
  }
};

/// An Ed25519 key pair as libsodium makes it from a seed.
struct Pair {
  std::array<std::uint8_t, 32> public_key{};
  std::array<std::uint8_t, 64> secret_key{};

  explicit Pair(const Octets& seed) {
    LK_CHECK(seed.size() == 32);
    crypto_sign_ed25519_seed_keypair(public_key.data(), secret_key.data(), seed.data());
  }
};

inline const RawKey k1{"k1", 0x11};
inline const RawKey k2{"k2", 0x22};
inline const RawKey k3{"k3", 0x33};

inline std::vector<keys::Key> ring_of(const std::vector<RawKey>& raw) {
  std::string text;
  for (const RawKey& key : raw) text += (text.empty() ? "" : ",") + key.entry();
  std::vector<keys::Key> ring(raw.size());
  const auto count = keys::parse(text, ring);
  LK_CHECK(count && *count == raw.size());
  return ring;
}

inline std::vector<keys::PublicKey> public_keys_of(keys::Ring ring) {
  Octets space(4'096);
  Writer out{space};
  keys::put_jwks(ring, out);
  std::vector<keys::PublicKey> found(ring.size());
  const auto count = keys::parse_jwks(MutBytes{space}.first(out.size()), found);
  LK_CHECK(count && *count == ring.size());
  return found;
}

/// A JSON object as text, member by member, exactly as given.
using Members = std::vector<std::pair<std::string, std::string>>;

inline std::string object(const Members& members) {
  std::string out = "{";
  for (const auto& [member, value] : members) {
    out += (out.size() > 1 ? ",\"" : "\"") + member + "\":" + value;
  }
  return out + "}";
}

inline std::string in_quotes(std::string_view text) { return '"' + std::string{text} + '"'; }

/// The value of a member that is there.
inline std::string& at(Members& members, std::string_view name) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const auto& member) { return member.first == name; });
  LK_CHECK(found != members.end());
  return found->second;
}

inline Members without(Members members, std::string_view name) {
  std::erase_if(members, [&](const auto& member) { return member.first == name; });
  return members;
}

inline std::string signing_input(std::string_view header, std::string_view payload) {
  return base64url(header) + "." + base64url(payload);
}

/// Signs what is given as it is, whatever the header says.
inline std::string hs256_token(const RawKey& key, std::string_view header, std::string_view payload,
                               std::string_view info = keys::info_state_hs256) {
  const std::string input = signing_input(header, payload);
  return input + "." + base64url(hmac(key.derived(info), bytes_of(input)));
}

inline std::string eddsa_token(const RawKey& key, std::string_view header,
                               std::string_view payload) {
  const std::string input = signing_input(header, payload);
  const Pair pair{key.derived(keys::info_state_eddsa)};
  std::array<std::uint8_t, 64> signature{};
  crypto_sign_ed25519_detached(signature.data(), nullptr, bytes_of(input).data(), input.size(),
                               pair.secret_key.data());
  return input + "." + base64url(signature);
}

inline std::string usual_header(std::string_view alg, std::string_view kid, std::string_view typ) {
  return object({{"alg", in_quotes(alg)}, {"kid", in_quotes(kid)}, {"typ", in_quotes(typ)}});
}

/// True when the call ends in a trap, which is what a broken contract must do. It runs in a child
/// process whose output nobody sees.
template <class Call> bool traps(Call call) {
  static_cast<void>(std::fflush(nullptr));
  const pid_t child = fork();
  LK_CHECK(child >= 0);
  if (child == 0) {
    static_cast<void>(std::signal(SIGILL, SIG_DFL));
    static_cast<void>(std::signal(SIGTRAP, SIG_DFL));
    static_cast<void>(close(STDOUT_FILENO));
    static_cast<void>(close(STDERR_FILENO));
    call();
    _exit(0);
  }
  int status = 0;
  LK_CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}

/// The same numbers in every run and on every machine.
class Random {
public:
  explicit Random(std::uint64_t seed) : engine_{seed} {}

  /// 0..bound-1; `bound` is at least 1.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_() & 0xff); }
  Octets bytes(std::size_t size) {
    Octets out(size);
    for (auto& b : out) b = byte();
    return out;
  }
  template <class Container> const auto& pick(const Container& from) {
    return from[below(std::size(from))];
  }

private:
  std::mt19937_64 engine_;
};

}  // namespace latchkey::test
