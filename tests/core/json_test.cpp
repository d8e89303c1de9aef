#include "latchkey/json.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::test;
using namespace std::string_literals;
using json::Kind;

namespace {

using Ordered = nlohmann::ordered_json;

// A text parsed in memory of exactly its size.
struct Read {
  Octets text;
  std::vector<json::Node> nodes;
  Result<json::Value> root{Errc::json_invalid};

  explicit Read(std::string_view json, std::size_t room = 1'024) : text{octets(json)}, nodes(room) {
    root = json::parse(text, nodes);
  }
  [[nodiscard]] bool good() const { return static_cast<bool>(root); }
};

enum class Verdict { accepted, refused, beyond_a_double };

// The other parser, with what it lets through and we do not: duplicate names, depth, a byte order
// mark, and a NUL, which it takes for the end.
class Judge : public nlohmann::json_sax<Ordered> {
public:
  static Verdict judge(std::string_view text) {
    if (text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF")) {
      return Verdict::refused;
    }
    Judge judge;
    const bool good = Ordered::sax_parse(text, &judge);
    if (judge.beyond_a_double_) return Verdict::beyond_a_double;
    return good ? Verdict::accepted : Verdict::refused;
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    names_.emplace_back();
    return names_.size() <= json::max_depth;
  }
  bool key(string_t& name) override { return names_.back().insert(name).second; }
  bool end_object() override {
    names_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override { return start_object(0); }
  bool end_array() override { return end_object(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    beyond_a_double_ = e.id == 406;
    return false;
  }

private:
  std::vector<std::set<std::string>> names_;
  bool beyond_a_double_{false};
};

bool same(const json::Value& ours, const Ordered& theirs) {
  const json::Node& node = ours.node();
  switch (node.kind) {
  case Kind::null: return theirs.is_null();
  case Kind::boolean: return theirs.is_boolean() && theirs.get<bool>() == node.boolean;
  case Kind::integer:
    return theirs.is_number_integer() && theirs.get<std::int64_t>() == node.integer &&
           std::string{node.text} == std::to_string(node.integer);
  case Kind::number: {
    // Up to 18 digits would be an integer.
    const std::string digits{node.text};
    return theirs.is_number() && (!theirs.is_number_integer() || digits.size() > 18) &&
           std::strtod(digits.c_str(), nullptr) == theirs.get<double>();
  }
  case Kind::text: return theirs.is_string() && theirs.get<std::string>() == node.text;
  case Kind::array: {
    if (!theirs.is_array()) return false;
    std::size_t i = 0;
    for (auto child = ours.first(); child.present(); child = ours.next(child), ++i) {
      if (i == theirs.size() || !child.node().name.empty() || !same(child, theirs[i])) return false;
    }
    return i == theirs.size();
  }
  case Kind::object: {
    if (!theirs.is_object()) return false;
    auto member = theirs.begin();
    for (auto child = ours.first(); child.present(); child = ours.next(child), ++member) {
      if (member == theirs.end() || member.key() != child.node().name ||
          !same(child, member.value()) || !ours.member(member.key()).present()) {
        return false;
      }
    }
    return member == theirs.end();
  }
  }
  return false;
}

// The minus of a zero is kept in the text alone.
bool has_negative_zero(std::string_view text) { return text.find("-0") != std::string_view::npos; }

std::string any_value(Random& random, int depth) {
  const std::string leaves[] = {"null",
                                "true",
                                "false",
                                "0",
                                "-1",
                                "1.5",
                                "1e3",
                                "9223372036854775807",
                                "9223372036854775808",
                                "-9223372036854775808",
                                "12345678901234567890123",
                                "\"\"",
                                "\"a\"",
                                "\"\\u00e9\"",
                                "\"\xC3\xA9\"",
                                "\"\\ud83d\\udd11\"",
                                "\"\\u0000\"",
                                "\"\\\\\\\"\\/\\b\\f\\n\\r\\t\""};
  if (depth == 0 || random.below(3) == 0) return random.pick(leaves);
  const bool is_array = random.below(2) == 0;
  std::string out = is_array ? "[" : "{";
  for (std::size_t i = 0, n = random.below(5); i < n; ++i) {
    if (i > 0) out += ",";
    if (random.below(4) == 0) out += " \n";
    if (!is_array) out += "\"" + std::string(1, static_cast<char>('a' + i)) + "\":";
    out += any_value(random, depth - 1);
  }
  return out + (is_array ? "]" : "}");
}

// The spelling that is read directly, more or less.
std::string flat_object(Random& random) {
  const std::string values[] = {"0",
                                "1",
                                "12",
                                "123456789012345678",
                                "1234567890123456789",
                                "\"\"",
                                "\"text\"",
                                "\"\xC3\xA9\"",
                                "\"a longer text, of more than eight bytes\"",
                                "-1",
                                "01",
                                "1.5",
                                "true",
                                "[]",
                                "\"\\n\"",
                                "\"\x7f\""};
  const std::string names[] = {"a", "b",        "aa",  "ab",  "ba",
                               "",  "\xC3\xA9", "iss", "iat", "a longer name"};
  std::string out = "{";
  for (std::size_t i = 0, n = random.below(7); i < n; ++i) {
    const std::string name =
        random.below(8) == 0 ? random.pick(names) : random.pick(names) + std::to_string(i);
    out += (i > 0 ? ",\"" : "\"") + name + "\":";
    out += values[random.below(random.below(3) == 0 ? std::size(values) : 9)];
  }
  return out + "}";
}

std::string mutated(Random& random, std::string text) {
  const std::string pieces[] = {"{",
                                "}",
                                "[",
                                "]",
                                ",",
                                ":",
                                "\"",
                                "\\",
                                "\\u",
                                "\\u0061",
                                "\\ud800",
                                "\\udc00",
                                "\\ud83d\\udd11",
                                "\\uD83D\\u0041",
                                "0",
                                "-",
                                "+",
                                ".",
                                "e",
                                "E",
                                "1e999",
                                "1e-999",
                                "-0",
                                "01",
                                "0.5",
                                "\0"s,
                                "\x01",
                                "\x1f",
                                "\x7f",
                                " ",
                                "\t",
                                "\n",
                                "\r",
                                "\f",
                                "\xC2\xA0",
                                "\xEF\xBB\xBF",
                                "\xED\xA0\x80",
                                "\xff",
                                "\x80",
                                "\xF0\x9F\x94\x91",
                                "null",
                                "nul",
                                "true",
                                "True",
                                "NaN",
                                "Infinity",
                                "/*x*/",
                                "//x\n",
                                "'",
                                "\"a\":1",
                                "\"\\u0061\":1",
                                "[[[[[[[[[[[[[[[[",
                                "]]]]]]]]]]]]]]]]"};
  for (std::size_t n = 1 + random.below(3); n > 0; --n) {
    const std::size_t at = random.below(text.size() + 1);
    const std::size_t size = random.below(text.size() - at + 1);
    switch (random.below(6)) {
    case 0: text.erase(at, 1); break;
    case 1: text.insert(at, random.pick(pieces)); break;
    case 2:
      text.replace(at, std::min<std::size_t>(1, text.size() - at), random.pick(pieces));
      break;
    case 3: text.insert(random.below(text.size() + 1), text.substr(at, size)); break;
    case 4: text.erase(at, size); break;
    default:
      if (at < text.size()) text[at] = static_cast<char>(random.byte());
      break;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("threat T17 json: what another strict parser reads is read alike, all else is refused") {
  Random random{15};
  std::vector<json::Node> nodes(4'096);
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 40'000; ++i) {
    std::string text = i % 3 == 0 ? flat_object(random) : any_value(random, 5);
    if (i % 4 != 0) text = mutated(random, text);
    const Verdict want = Judge::judge(text);
    if (want == Verdict::beyond_a_double) continue;
    Octets exact = octets(text);
    const auto root = json::parse(exact, nodes);
    if (static_cast<bool>(root) != (want == Verdict::accepted)) {
      FAIL("judged differently: " << text << " as hex " << hex(bytes_of(text)));
    }
    (root ? accepted : refused) += 1;
    if (root && !has_negative_zero(text) && !same(*root, Ordered::parse(text))) {
      FAIL("read differently: " << text);
    }
  }
  CHECK(accepted > 12'000);
  CHECK(refused > 12'000);
}

TEST_CASE(
    "threat T17 json: texts with one byte cut, dropped, doubled or changed are judged alike") {
  std::vector<json::Node> nodes(64);
  const std::string texts[] = {
      "{\"access_token\":\"gho_16C7e42F292c69\",\"expires_in\":\"28800\",\"iat\":1700000000,\"v\":"
      "1}",
      "{\"a\":\"1\",\"b\":\"23\",\"aa\":0}",
      "{\"a\":{\"b\":[1,-2.5e3,\"x\\n\",null]},\"c\":true}",
  };
  const auto check = [&](const std::string& text) {
    Octets exact = octets(text);
    const bool good = static_cast<bool>(json::parse(exact, nodes));
    const Verdict want = Judge::judge(text);
    if (want != Verdict::beyond_a_double && good != (want == Verdict::accepted)) {
      FAIL_CHECK("judged differently: " << text);
    }
  };
  for (const std::string& text : texts) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      check(text.substr(0, i));
      check(text.substr(i));
      check(text.substr(0, i) + text.substr(i + 1));
      check(text.substr(0, i + 1) + text.substr(i));
      for (int c = 0; c < 256; ++c) {
        std::string changed = text;
        changed[i] = static_cast<char>(c);
        check(changed);
      }
    }
  }
  SUCCEED();
}

TEST_CASE("json: kinds and values") {
  const Read read{"{\"n\":null,\"t\":true,\"f\":false,\"i\":-12,\"d\":1.50,\"s\":\"\\u00e9\\n\","
                  "\"a\":[1,[2],{}],"
                  "\"o\":{\"x\":{\"y\":\"z\"}},\"\":\"empty name\",\"last\":0}"};
  REQUIRE(read.good());
  const auto& root = *read.root;
  CHECK(root.is(Kind::object));
  CHECK(root.member("n").is(Kind::null));
  CHECK(root.member("t").node().boolean);
  CHECK_FALSE(root.member("f").node().boolean);
  CHECK(root.member("i").is(Kind::integer));
  CHECK(root.member("i").node().integer == -12);
  CHECK(root.member("i").node().text == "-12");
  CHECK(root.member("d").is(Kind::number));
  CHECK(root.member("d").node().text == "1.50");
  CHECK(root.member("s").text() == "\xC3\xA9\n");
  CHECK(root.member("o").member("x").member("y").text() == "z");
  CHECK(root.member("").text() == "empty name");
  CHECK(root.member("last").node().integer == 0);

  const auto array = root.member("a");
  const auto one = array.first();
  CHECK(one.node().integer == 1);
  const auto two = array.next(one);
  CHECK(two.is(Kind::array));
  CHECK(two.first().node().integer == 2);
  CHECK_FALSE(two.next(two.first()).present());
  const auto three = array.next(two);
  CHECK(three.is(Kind::object));
  CHECK_FALSE(three.first().present());
  CHECK_FALSE(array.next(three).present());

  // Asking the wrong kind for something gives nothing.
  CHECK(root.text().empty());
  CHECK(root.member("i").text().empty());
  CHECK_FALSE(root.member("missing").present());
  CHECK_FALSE(root.member("a").member("0").present());
  CHECK_FALSE(root.member("s").member("x").present());
  CHECK_FALSE(root.member("s").first().present());
  CHECK_FALSE(root.member("missing").member("x").first().present());
  // Names of deeper levels are not members.
  CHECK_FALSE(root.member("x").present());
  CHECK_FALSE(root.member("y").present());
}

TEST_CASE("json: whole numbers of up to 18 digits are integers, all others keep their digits") {
  const struct {
    const char* digits;
    bool integer;
  } rows[] = {
      {"0", true},
      {"-0", true},
      {"1", true},
      {"-1", true},
      {"10", true},
      {"999999999999999999", true},
      {"-999999999999999999", true},
      {"1000000000000000000", false},
      {"-1000000000000000000", false},
      {"9223372036854775807", false},
      {"18446744073709551616", false},
      {"1.0", false},
      {"1e0", false},
      {"1E2", false},
      {"0.1", false},
      {"-0.0", false},
      {"1e308", false},
      {"1e309", false},
      {"1e-400", false},
      {"123456789012345678901234567890", false},
  };
  for (const auto& row : rows) {
    for (const std::string& text :
         {std::string{row.digits}, "[" + std::string{row.digits} + "]",
          "{\"a\":" + std::string{row.digits} + "}", " " + std::string{row.digits} + " "}) {
      CAPTURE(text);
      const Read read{text};
      REQUIRE(read.good());
      const auto value = read.root->first().present() ? read.root->first() : *read.root;
      CHECK(value.is(row.integer ? Kind::integer : Kind::number));
      CHECK(value.node().text == row.digits);
      if (row.integer) CHECK(value.node().integer == std::stoll(row.digits));
    }
  }
  for (const char* text : {"01", "-", "+1", "1.", ".1", "1e", "1e+", "--1", "0x1", "1_0", "- 1",
                           "1 2", "Infinity", "-Infinity", "NaN", "1f"}) {
    CAPTURE(text);
    CHECK_FALSE(Read{text}.good());
  }
}

TEST_CASE("threat T17 json: the same name twice in one object is refused, at every level and "
          "however spelled") {
  for (const char* text : {
           "{\"a\":1,\"a\":1}",
           "{\"a\":1,\"b\":2,\"a\":3}",
           "{\"a\":1,\"\\u0061\":2}",
           "{\"\\u0061\":1,\"a\":2}",
           "{\"\":1,\"\":2}",
           "{\"x\":{\"a\":1,\"a\":1}}",
           "[{\"a\":1,\"a\":1}]",
           "{\"a\":{\"b\":1},\"c\":2,\"a\":3}",
           "{\"a\":[{\"b\":1}],\"a\":3}",
           "{\"\\u0000\":1,\"\\u0000\":2}",
           "{\"\xC3\xA9\":1,\"\\u00e9\":2}",
           "{\"\\ud83d\\udd11\":1,\"\xF0\x9F\x94\x91\":2}",
       }) {
    CAPTURE(text);
    CHECK(name(Read{text}.root) == "json_invalid");
  }
  for (const char* text : {
           "{\"a\":1,\"A\":1}",
           "{\"a\":1,\"a \":1}",
           "{\"a\":1,\"a\\u0000\":1}",
           "{\"a\":{\"a\":{\"a\":1}}}",
           "[{\"a\":1},{\"a\":1}]",
           "{\"a\":[{\"b\":1},{\"b\":1}],\"b\":1}",
           "{\"\xC3\xA9\":1,\"e\xCC\x81\":2}",
       }) {
    CAPTURE(text);
    CHECK(Read{text}.good());
  }
}

TEST_CASE("json: text that is not UTF-8, or stands for none, is refused") {
  for (const char* text : {"\"\xff\"", "\"\xC3\"", "\"\xED\xA0\x80\"", "\"\xC0\xAF\"",
                           "\"\xF4\x90\x80\x80\"", "\xff", "{\"\x80\":1}", " \xC2"}) {
    CAPTURE(text);
    CHECK(name(Read{text}.root) == "utf8_invalid");
  }
  for (const std::string& text : {"\"\\ud800\""s,
                                  "\"\\udc00\""s,
                                  "\"\\udc00\\ud800\""s,
                                  "\"\\ud800\\ud800\""s,
                                  "\"\\ud800a\""s,
                                  "\"\\ud800\\u0041\""s,
                                  "\"\\uDFFF\""s,
                                  "{\"\\ud800\":1}"s,
                                  "{\"\\udc00\":1}"s,
                                  "\"\\u12\""s,
                                  "\"\\u12G4\""s,
                                  "\"\\x41\""s,
                                  "\"\\'\""s,
                                  "\"\\"s,
                                  "\""s,
                                  "\"a"s,
                                  "\"\n\""s,
                                  "\"\t\""s,
                                  "\"\x1f\""s,
                                  "\"a\0b\""s,
                                  "\0"s,
                                  "1\0"s,
                                  "\0001"s,
                                  "{}\0"s,
                                  "{\0}"s,
                                  "\xEF\xBB\xBF{}"s,
                                  "\xEF\xBB\xBF"s,
                                  "\xC2\xA0"s,
                                  "\xE2\x80\xA8 1"s,
                                  "\f1"s,
                                  "\v1"s,
                                  "'a'"s,
                                  "{a:1}"s,
                                  "{'a':1}"s,
                                  "{1:1}"s,
                                  "{\"a\"}"s,
                                  "{\"a\":}"s,
                                  "{\"a\":1,}"s,
                                  "{,}"s,
                                  "[1,]"s,
                                  "[,1]"s,
                                  "[1 1]"s,
                                  "[1"s,
                                  "{\"a\":1"s,
                                  "]"s,
                                  "}"s,
                                  "{]"s,
                                  "[}"s,
                                  "1,2"s,
                                  "{}{}"s,
                                  "// x\n1"s,
                                  "/* x */1"s,
                                  "#\n1"s,
                                  "tru"s,
                                  "TRUE"s,
                                  "nul"s,
                                  "nulll"s,
                                  "undefined"s,
                                  ""s,
                                  " "s,
                                  "\n"s}) {
    CAPTURE(text);
    CHECK(name(Read{text}.root) == "json_invalid");
  }
  CHECK(Read{"\"\\ud83d\\udd11\""}.root->text() == "\xF0\x9F\x94\x91");
  CHECK(Read{"\"\\uFFFF\\uffff\""}.root->text() == "\xEF\xBF\xBF\xEF\xBF\xBF");
  CHECK(Read{"\"a\\u0000b\""}.root->text() == "a\0b"s);
  CHECK(Read{"\"\x7f\""}.good());
}

TEST_CASE("threat T39 json: depth and number of nodes have limits") {
  for (std::size_t depth = 1; depth <= 40; ++depth) {
    const bool good = depth <= json::max_depth;
    CHECK(Read{std::string(depth, '[') + std::string(depth, ']')}.good() == good);
    std::string objects;
    for (std::size_t i = 1; i < depth; ++i) objects += "{\"a\":";
    CHECK(Read{objects + "{}" + std::string(depth - 1, '}')}.good() == good);
  }
  // Depth is of what is open, not of what has been.
  std::string wide = "[";
  for (int i = 0; i < 100; ++i)
    wide += (i > 0 ? "," : "") + std::string(31, '[') + std::string(31, ']');
  CHECK(Read{wide + "]", 4'096}.good());

  for (std::size_t room = 0; room <= 12; ++room) {
    CHECK(Read{"[1,2,[3,{\"a\":4}],5]", room}.good() == (room >= 8));
    CHECK(Read{"1", room}.good() == (room >= 1));
  }
  CHECK_FALSE(Read{std::string(100'000, '[')}.good());
  CHECK_FALSE(Read{std::string(100'000, '{')}.good());
  std::string names;
  for (int i = 0; i < 100'000; ++i) names += "{\"a\":";
  CHECK_FALSE(Read{names}.good());
  CHECK_FALSE(Read{std::string(10'000'000, ' ')}.good());
  CHECK_FALSE(Read{"[" + std::string(10'000'000, '1')}.good());
  CHECK(Read{"\"" + std::string(10'000'000, 'a') + "\""}.good());
  CHECK_FALSE(Read{"\"" + std::string(10'000'000, 'a')}.good());

  Octets text = octets("[]");
  std::vector<json::Node> many(0xffff);
  CHECK(traps([&] { static_cast<void>(json::parse(text, many)); }));
}

TEST_CASE("threat T39 json: an array of as many nodes as there can be") {
  std::string text = "[0";
  for (std::size_t i = 2; i < 0xfffe; ++i) text += ",0";
  text += "]";
  const Read read{text, 0xfffe};
  REQUIRE(read.good());
  std::size_t count = 0;
  for (auto child = read.root->first(); child.present(); child = read.root->next(child)) ++count;
  CHECK(count == 0xfffd);
  CHECK_FALSE(Read{text, 0xfffd}.good());
}

TEST_CASE("json: an absent value has nothing, and its node is not to be read") {
  const json::Value absent;
  CHECK_FALSE(absent.present());
  CHECK_FALSE(absent.is(Kind::null));
  CHECK_FALSE(absent.member("a").present());
  CHECK_FALSE(absent.first().present());
  CHECK_FALSE(absent.next(absent).present());
  CHECK(absent.text().empty());
  CHECK(traps([&] { static_cast<void>(absent.node()); }));
}

TEST_CASE("json: a written string reads back, here and elsewhere") {
  const auto written = [](std::string_view text) {
    Octets space(text.size() * 6 + 2);
    Writer out{space};
    json::put_string(out, text);
    REQUIRE_FALSE(out.overflow());
    return string_of(out.written());
  };
  Random random{16};
  std::string all;
  for (int c = 0; c < 0x80; ++c) all += static_cast<char>(c);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (std::size_t n = random.below(20); n > 0; --n) {
      text += random.below(4) == 0 ? "\xF0\x9F\x94\x91"s
                                   : std::string(1, all[random.below(all.size())]);
    }
    const std::string json = written(text);
    REQUIRE(nlohmann::json::parse(json) == text);
    const Read read{json};
    REQUIRE(read.good());
    REQUIRE(read.root->text() == text);
    Octets space(json.size() - 1);
    Writer out{space};
    json::put_string(out, text);
    REQUIRE(out.overflow());
  }
  CHECK(written(all).size() > all.size());
  CHECK(written("a\"b\\c\n\x1f/<") == "\"a\\\"b\\\\c\\u000a\\u001f/<\"");
  CHECK(written("") == "\"\"");
}

TEST_CASE("json: a written integer is its digits") {
  for (const std::int64_t value :
       {INT64_MIN, INT64_MIN + 1, std::int64_t{-10}, std::int64_t{-1}, std::int64_t{0},
        std::int64_t{9}, std::int64_t{1'700'000'000}, INT64_MAX}) {
    const std::string want = std::to_string(value);
    for (std::size_t room = 0; room <= want.size(); ++room) {
      Octets space(room);
      Writer out{space};
      json::put_integer(out, value);
      CHECK(out.overflow() == (room < want.size()));
      if (!out.overflow()) CHECK(string_of(out.written()) == want);
    }
  }
}
