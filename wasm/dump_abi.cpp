// Prints abi.json: constants, codes and layouts as the compiler sees them.

#include "abi.hpp"

#include <cstdio>
#include <cstring>
#include <string>

namespace {

using namespace latchkey;

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

template <class Code, class Print> void print_codes(const char* key, Print print) {
  std::printf("  \"%s\": [", key);
  bool first = true;
  for (unsigned n = 0; n < 256; ++n) {
    const auto code = static_cast<Code>(n);
    if (to_string(code).empty()) continue;
    std::printf("%s\n    ", first ? "" : ",");
    first = false;
    print(code, n);
  }
  std::printf("\n  ],\n");
}

void print_layout(const abi::Layout& layout, bool last) {
  std::printf("    %s: { \"size\": %u, \"fields\": {", quoted(layout.name).c_str(), layout.size);
  bool first = true;
  for (const abi::Field& field : layout.fields) {
    std::printf("%s %s: [%s, %u]", first ? "" : ",", quoted(field.name).c_str(),
                quoted(field.type).c_str(), field.offset);
    first = false;
  }
  std::printf(" } }%s\n", last ? "" : ",");
}

void print_enumeration(const abi::Enumeration& all, bool last) {
  std::size_t count = abi::max_enumerators;
  while (all.values[count - 1].empty()) --count;
  std::printf("    %s: [", quoted(all.name).c_str());
  for (std::size_t n = 0; n < count; ++n) {
    const std::string_view name = all.values[n];
    std::printf("%s%s", n == 0 ? "" : ", ", name.empty() ? "null" : quoted(name).c_str());
  }
  std::printf("]%s\n", last ? "" : ",");
}

/// The settings of the core that nobody has chosen otherwise.
void print_defaults() {
  const abi::RefreshSettings settings = abi::to_settings({}, {});
  const auto* bytes = reinterpret_cast<const unsigned char*>(&settings);
  bool first = true;
  for (const abi::Field& field : abi::refresh_settings) {
    double value = bytes[field.offset];
    if (field.type == "f64") std::memcpy(&value, bytes + field.offset, sizeof value);
    std::printf("%s %s: %.0f", first ? "" : ",", quoted(field.name).c_str(), value);
    first = false;
  }
}

}  // namespace

int main() {
  std::printf("{\n  \"version\": %u,\n  \"layoutHash\": %u,\n", abi::version, abi::layout_hash());
  std::printf("  \"arena\": { \"size\": %u, \"request\": %u, \"reply\": %u, \"data\": %u },\n",
              abi::arena_size, abi::request_at, abi::reply_at, abi::data_at);
  std::printf("  \"keySize\": %zu,\n  \"publicKeySize\": %zu,\n", sizeof(keys::Key),
              sizeof(keys::PublicKey));
  print_codes<Errc>("codes", [](Errc code, unsigned n) {
    std::printf("{ \"number\": %u, \"name\": %s, \"public\": %s, \"meaning\": %s }", n,
                quoted(to_string(code)).c_str(), quoted(to_string(public_code(code))).c_str(),
                quoted(meaning(code)).c_str());
  });
  print_codes<PublicCode>("publicCodes", [](PublicCode code, unsigned n) {
    std::printf("{ \"number\": %u, \"name\": %s }", n, quoted(to_string(code)).c_str());
  });
  std::printf("  \"layouts\": {\n");
  for (const abi::Layout& layout : abi::layouts) {
    print_layout(layout, &layout == std::end(abi::layouts) - 1);
  }
  std::printf("  },\n  \"enums\": {\n");
  for (const abi::Enumeration& all : abi::enumerations) {
    print_enumeration(all, &all == std::end(abi::enumerations) - 1);
  }
  std::printf("  },\n  \"refreshDefaults\": {");
  print_defaults();
  std::printf(" },\n  \"lifetimes\": [");
  for (std::size_t kind = 0; kind < retention::kinds; ++kind) {
    const auto ms = retention::lifetime(static_cast<retention::Kind>(kind)).value;
    std::printf("%s%lld", kind == 0 ? "" : ", ", static_cast<long long>(ms));
  }
  std::printf("]\n}\n");
}
