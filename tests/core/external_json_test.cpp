// JSONTestSuite: what must be refused is refused, what must be read is read, and where a parser may
// choose, the choice is written down.
#include "external.hpp"

using namespace latchkey;
using namespace latchkey::test;

namespace {

struct Read {
  Octets json;
  std::vector<json::Node> nodes = std::vector<json::Node>(4'096);
  Result<json::Value> root{Errc::json_invalid};

  explicit Read(std::string_view text) : json{octets(text)} { root = json::parse(json, nodes); }
};

}  // namespace

TEST_CASE("threat T17 T39 external: JSONTestSuite, test_parsing") {
  // Duplicate names are refused by policy; RFC 8259 section 4 leaves them to the parser.
  const std::set<std::string> refused_by_policy = {"y_object_duplicated_key.json",
                                                   "y_object_duplicated_key_and_value.json"};
  Count y;
  Count n;
  Count i;
  for (const auto& file : std::filesystem::directory_iterator{external("json") / "test_parsing"}) {
    const std::string id = file.path().filename().string();
    CAPTURE(id);
    const Read read{read_file(file.path())};
    const bool accepted = static_cast<bool>(read.root);
    switch (id[0]) {
    case 'y':
      CHECK(accepted == (refused_by_policy.count(id) == 0));
      ++y.run;
      break;
    case 'n':
      CHECK_FALSE(accepted);
      ++n.run;
      break;
    default:
      // A number may be of any size, its digits are kept as text. Nothing but UTF-8 without a byte
      // order mark is read, and nothing as deep as 500 levels.
      CHECK(accepted == id.starts_with("i_number_"));
      ++i.run;
      break;
    }
  }
  CHECK(y.run == 95);
  CHECK(n.run == 188);
  CHECK(i.run == 35);
  y.report("JSONTestSuite y");
  n.report("JSONTestSuite n");
  i.report("JSONTestSuite i");
}

TEST_CASE("threat T17 external: JSONTestSuite, test_transform") {
  const auto folder = external("json") / "test_transform";
  const struct {
    const char* file;
    bool accepted;
  } rows[] = {
      {"number_-9223372036854775808.json", true},
      {"number_-9223372036854775809.json", true},
      {"number_1.0.json", true},
      {"number_1.000000000000000005.json", true},
      {"number_1000000000000000.json", true},
      {"number_10000000000000000999.json", true},
      {"number_1e-999.json", true},
      {"number_1e6.json", true},
      {"number_9223372036854775807.json", true},
      {"number_9223372036854775808.json", true},
      {"object_key_nfc_nfd.json", true},
      {"object_key_nfd_nfc.json", true},
      {"object_same_key_different_values.json", false},
      {"object_same_key_same_value.json", false},
      {"object_same_key_unclear_values.json", false},
      {"string_1_escaped_invalid_codepoint.json", false},
      {"string_1_invalid_codepoint.json", false},
      {"string_2_escaped_invalid_codepoints.json", false},
      {"string_2_invalid_codepoints.json", false},
      {"string_3_escaped_invalid_codepoints.json", false},
      {"string_3_invalid_codepoints.json", false},
      {"string_with_escaped_NULL.json", true},
  };
  Count count;
  for (const auto& row : rows) {
    CAPTURE(row.file);
    CHECK(static_cast<bool>(Read{read_file(folder / row.file)}.root) == row.accepted);
    ++count.run;
  }
  CHECK(count.run == 22);
  count.report("JSONTestSuite transform");

  const auto kind_of = [&](const char* file) {
    const Read read{read_file(folder / file)};
    return read.root->first().node().kind;
  };
  CHECK(kind_of("number_1000000000000000.json") == json::Kind::integer);
  CHECK(kind_of("number_9223372036854775807.json") == json::Kind::number);
  CHECK(kind_of("number_-9223372036854775808.json") == json::Kind::number);
  CHECK(kind_of("number_9223372036854775808.json") == json::Kind::number);
  CHECK(kind_of("number_-9223372036854775809.json") == json::Kind::number);
  CHECK(kind_of("number_1.0.json") == json::Kind::number);
  CHECK(kind_of("number_1e6.json") == json::Kind::number);
  const Read text{read_file(folder / "string_with_escaped_NULL.json")};
  CHECK(text.root->first().text() == std::string_view{"A\0B", 3});
}
