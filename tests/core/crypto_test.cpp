#include "latchkey/crypto.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::test;

namespace {

template <std::size_t N> Octets vector_of(const std::array<std::uint8_t, N>& bytes) {
  return {bytes.begin(), bytes.end()};
}

crypto::Secret32 secret(std::uint8_t fill) {
  crypto::Secret32 out{};
  out.fill(fill);
  return out;
}

void flip(MutBytes bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
}

}  // namespace

TEST_CASE("crypto: a MAC of pieces is the MAC of the whole") {
  Random random{9};
  for (std::size_t size = 0; size < 300; ++size) {
    const Octets key = random.bytes(random.below(100));
    const Octets message = random.bytes(size);
    auto stream = crypto::mac_begin(crypto::mac_key(key));
    for (Bytes rest = message; !rest.empty();) {
      const std::size_t n = random.below(rest.size() + 1);
      crypto::mac_update(stream, rest.first(n));
      rest = rest.subspan(n);
    }
    CHECK(Octets(32) != hmac(key, message));
    const auto tag = crypto::mac_end(stream);
    CHECK(hex(tag) == hex(hmac(key, message)));
    CHECK(stream.bits == 0);
  }
}

TEST_CASE("crypto: SHA-256 of two pieces is that of the whole, wherever it is cut") {
  Random random{6};
  const Octets message = random.bytes(200);
  for (std::size_t size = 0; size <= message.size(); ++size) {
    const Bytes whole = Bytes{message}.first(size);
    const Octets want = sha256(whole);
    REQUIRE(vector_of(crypto::sha256(whole)) == want);
    for (std::size_t cut = 0; cut <= size; cut += 1 + size / 16) {
      REQUIRE(vector_of(crypto::sha256(whole.first(cut), whole.subspan(cut))) == want);
    }
  }
  CHECK(hex(crypto::sha256({})) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("crypto: a prepared key gives libsodium's HMAC for every length of key and message") {
  Random random{7};
  const Octets bytes = random.bytes(300);
  for (std::size_t key_size = 0; key_size <= 140; ++key_size) {
    const Bytes key = Bytes{bytes}.first(key_size);
    const auto prepared = crypto::mac_key(key);
    for (std::size_t size = 0; size <= 200; size += 1 + key_size % 7) {
      const Bytes message = Bytes{bytes}.first(size);
      REQUIRE(vector_of(crypto::mac(prepared, message)) == hmac(key, message));
    }
  }
}

TEST_CASE("crypto: HMAC over pieces is that of the whole, for every cut into three") {
  Random random{8};
  const auto key = crypto::mac_key(random.bytes(32));
  for (const std::size_t size : {0U, 1U, 55U, 56U, 63U, 64U, 65U, 130U}) {
    const Octets message = random.bytes(size);
    const Bytes whole{message};
    const auto want = crypto::mac(key, whole);
    for (std::size_t i = 0; i <= size; ++i) {
      for (std::size_t j = i; j <= size; ++j) {
        REQUIRE(crypto::mac(key, whole.first(i), whole.subspan(i, j - i), whole.subspan(j)) ==
                want);
      }
    }
  }
}

TEST_CASE("crypto: a MAC continued behind its first block is that of the whole") {
  Random random{18};
  const auto key = crypto::mac_key(random.bytes(32));
  const Octets message = random.bytes(64 + 200);
  const Bytes whole{message};
  const auto prefix = crypto::mac_prefix(key, whole.first<64>());
  for (std::size_t size = 0; size <= 200; ++size) {
    REQUIRE(crypto::mac(key, prefix, whole.subspan(64, size)) ==
            crypto::mac(key, whole.first(64 + size)));
  }
  const auto other = crypto::mac_prefix(crypto::mac_key(random.bytes(32)), whole.first<64>());
  CHECK(other.inner != prefix.inner);
}

TEST_CASE("crypto: equal is equality of bytes and of length") {
  for (std::size_t size = 0; size <= 64; ++size) {
    const Octets a(size, 0xa5);
    CHECK(crypto::equal(a, a));
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      Octets b = a;
      flip(b, bit);
      REQUIRE_FALSE(crypto::equal(a, b));
    }
    CHECK_FALSE(crypto::equal(a, Octets(size + 1, 0xa5)));
    CHECK_FALSE(crypto::equal(Octets(size + 1, 0xa5), a));
  }
  CHECK(crypto::equal({}, {}));
}

TEST_CASE("crypto: wiping leaves zeros and touches nothing beside") {
  for (std::size_t size = 0; size <= 40; ++size) {
    Octets bytes(size + 2, 0xff);
    crypto::wipe(MutBytes{bytes}.subspan(1, size));
    Octets want(size + 2, 0);
    want.front() = want.back() = 0xff;
    CHECK(bytes == want);
  }
  crypto::wipe({});
  auto key = crypto::mac_key(Octets(32, 1));
  crypto::wipe_object(key);
  CHECK(key.inner == crypto::MacKey{}.inner);
  CHECK(key.outer == crypto::MacKey{}.outer);
}

TEST_CASE(
    "crypto: HKDF gives a prefix of the same stream for every length, 8,160 bytes at the most") {
  const Octets ikm(32, 1);
  Octets longest(8'160);
  crypto::hkdf(ikm, {}, bytes_of("info"), longest);
  for (const std::size_t size : {1U, 31U, 32U, 33U, 64U, 255U, 8'159U}) {
    Octets out(size);
    crypto::hkdf(ikm, {}, bytes_of("info"), out);
    CHECK(out == Octets(longest.begin(), longest.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  std::set<Octets> distinct;
  for (const char* info : {"", "a", "b", "info", "inf", "info "}) {
    for (const std::size_t salt : {0U, 1U, 31U, 33U}) {
      Octets out(32);
      crypto::hkdf(ikm, Octets(salt, 2), bytes_of(info), out);
      distinct.insert(out);
    }
  }
  CHECK(distinct.size() == 6 * 4);
  Octets too_long(8'161);
  CHECK(traps([&] { crypto::hkdf(ikm, {}, {}, too_long); }));
}

TEST_CASE("T01 crypto: a signature fits one key and one message, bit for bit") {
  const auto key = crypto::sign_key(secret(3));
  const auto public_key = crypto::verify_key(key.public_key());
  Octets message = octets("the quick brown fox");
  const auto signature = crypto::sign(key, message);
  REQUIRE(crypto::verify(public_key, message, signature));
  CHECK(crypto::sign(key, message) == signature);
  std::size_t accepted = 0;
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
    auto changed = signature;
    flip(changed, bit);
    if (crypto::verify(public_key, message, changed)) ++accepted;
  }
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    flip(message, bit);
    if (crypto::verify(public_key, message, signature)) ++accepted;
    flip(message, bit);
  }
  for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
    auto changed = key.public_key();
    flip(changed, bit);
    if (crypto::verify(crypto::verify_key(changed), message, signature)) ++accepted;
  }
  CHECK(accepted == 0);
}

TEST_CASE("threat T15 crypto: verifying is strict about S and about small-order keys") {
  const auto key = crypto::sign_key(secret(3));
  const Octets message = octets("m");
  auto signature = crypto::sign(key, message);
  // S + L: the group order, least significant byte first.
  const Octets order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += unsigned{signature[32 + i]} + order[i];
    signature[32 + i] = static_cast<std::uint8_t>(carry & 0xff);
    carry >>= 8;
  }
  CHECK_FALSE(crypto::verify(crypto::verify_key(key.public_key()), message, signature));

  // With a small-order key, R = identity and S = 0 would hold for every message.
  const char* const small_order[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  };
  for (const char* point : small_order) {
    CAPTURE(point);
    crypto::Ed25519Public public_key{};
    const Octets bytes = from_hex(point);
    std::copy(bytes.begin(), bytes.end(), public_key.begin());
    for (const std::uint8_t r : Octets{0, 1}) {
      crypto::Ed25519Signature forged{};
      forged[0] = r;
      CHECK_FALSE(crypto::verify(crypto::verify_key(public_key), message, forged));
    }
    crypto::Ed25519Signature forged{};
    std::copy(bytes.begin(), bytes.end(), forged.begin());
    CHECK_FALSE(crypto::verify(crypto::verify_key(public_key), message, forged));
    CHECK_FALSE(crypto::verify(crypto::verify_key(key.public_key()), message, forged));
  }
}

TEST_CASE("threat T15 crypto: what is no point of the curve verifies nothing") {
  const auto key = crypto::sign_key(secret(3));
  const Octets message = octets("m");
  const auto signature = crypto::sign(key, message);
  std::size_t points = 0;
  for (std::uint32_t y = 0; y < 1'000; ++y) {
    crypto::Ed25519Public bytes{};
    bytes[0] = static_cast<std::uint8_t>(y & 0xff);
    bytes[1] = static_cast<std::uint8_t>(y >> 8);
    const auto made = crypto::verify_key(bytes);
    CHECK(made.bytes == bytes);
    points += made.status == 0 ? 1 : 0;
    CHECK((made.status == 0) == (made.point != decltype(made.point){}));
    CHECK_FALSE(crypto::verify(made, message, signature));
  }
  // As many of these y have an x by Euler's criterion, counted with other arithmetic.
  CHECK(points == 516);
  CHECK_FALSE(crypto::verify({}, message, signature));

  const auto good = crypto::verify_key(key.public_key());
  REQUIRE(crypto::verify(good, message, signature));
  auto refused = good;
  refused.status = -1;
  CHECK_FALSE(crypto::verify(refused, message, signature));
  auto other = good;
  other.point = crypto::verify_key(crypto::sign_key(secret(4)).public_key()).point;
  CHECK_FALSE(crypto::verify(other, message, signature));
}

TEST_CASE("crypto: what is sealed opens to the same bytes, of every length") {
  Random random{9};
  const auto key = secret(4);
  for (std::size_t size = 0; size <= 200; ++size) {
    const Octets nonce = random.bytes(24);
    const Octets plain = random.bytes(size);
    const Octets associated = random.bytes(random.below(70));
    Octets sealed(size + 16);
    crypto::aead_seal(key, nonce, associated, plain, sealed);
    Octets opened(size);
    REQUIRE(crypto::aead_open(key, nonce, associated, sealed, opened));
    REQUIRE(opened == plain);
    // In place, as `seal` does it.
    REQUIRE(crypto::aead_open(key, nonce, associated, sealed, MutBytes{sealed}.first(size)));
    REQUIRE(Octets(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size)) == plain);
  }
}

TEST_CASE("T01 threat T42 crypto: no changed bit of key, nonce, associated data or text opens, and "
          "nothing is given out") {
  const auto key = secret(4);
  Octets nonce(24, 5);
  Octets associated = octets("row 1");
  const Octets plain = octets("a refresh token, say");
  Octets sealed(plain.size() + 16);
  crypto::aead_seal(key, nonce, associated, plain, sealed);
  std::size_t accepted = 0;
  const auto offer = [&](const crypto::Secret32& with) {
    Octets out(plain.size(), 0);
    if (crypto::aead_open(with, nonce, associated, sealed, out)) ++accepted;
    CHECK(out == Octets(plain.size(), 0));
  };
  for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
    auto other = key;
    flip(other, bit);
    offer(other);
  }
  for (Octets* part : {&nonce, &associated, &sealed}) {
    for (std::size_t bit = 0; bit < part->size() * 8; ++bit) {
      flip(*part, bit);
      offer(key);
      flip(*part, bit);
    }
  }
  CHECK(accepted == 0);
  for (std::size_t size = 0; size < 16; ++size) {
    CHECK_FALSE(crypto::aead_open(key, nonce, associated, Bytes{sealed}.first(size), {}));
  }
}

TEST_CASE("crypto: sizes that break the contract trap") {
  const auto key = secret(1);
  Octets out(64);
  for (const std::size_t nonce : {0U, 8U, 12U, 23U, 25U, 32U}) {
    const Octets bytes(nonce, 0);
    CHECK(traps([&] { crypto::aead_seal(key, bytes, {}, Octets(48, 1), out); }));
    CHECK(traps([&] { static_cast<void>(crypto::aead_open(key, bytes, {}, out, out)); }));
  }
  const Octets nonce(24, 0);
  CHECK(traps([&] { crypto::aead_seal(key, nonce, {}, Octets(47, 1), out); }));
  CHECK(traps([&] { crypto::aead_seal(key, nonce, {}, Octets(49, 1), out); }));
  CHECK(traps(
      [&] { static_cast<void>(crypto::aead_open(key, nonce, {}, out, MutBytes{out}.first(47))); }));
}
