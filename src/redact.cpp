#include "latchkey/redact.hpp"

#include <algorithm>
#include <iterator>

namespace latchkey::redact {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_alnum(char c) noexcept { return is_digit(c) || is_upper(c) || is_lower(c); }
constexpr char lower(char c) noexcept { return is_upper(c) ? static_cast<char>(c + 32) : c; }
constexpr bool is_joiner(char c) noexcept { return c == '_' || c == '-' || c == '.'; }
// What names and tokens are made of.
constexpr bool is_word(char c) noexcept { return is_alnum(c) || is_joiner(c); }
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
constexpr bool is_break(char c) noexcept { return c == '\r' || c == '\n'; }
constexpr bool is_quote(char c) noexcept { return c == '"' || c == '\'' || c == '`'; }

constexpr int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// Token forms -------------------------------------------------------------------------------------

enum Flag : std::uint8_t {
  anywhere = 1,  // also in the middle of a word: escapes and encodings put letters in front
  base64 = 2,  // also `+`, `/`, `=`, and `%` where it is encoded
  tail = 4,  // also `=` and a checksum
  opaque = 8,  // short prefix: 20 more characters
};

struct Form {
  const char* prefix;
  std::uint8_t flags;
};

constexpr Form forms[] = {
    // GitHub; the long `ghs_` form has `.`, `_` and `-`.
    {"ghp_", anywhere},
    {"gho_", anywhere},
    {"ghu_", anywhere},
    {"ghs_", anywhere},
    {"ghr_", anywhere},
    {"github_pat_", anywhere},
    // GitLab.
    {"glpat-", anywhere},
    {"gloas-", anywhere},
    {"gldt-", anywhere},
    {"glrt-", anywhere},
    {"glrtr-", anywhere},
    {"glcbt-", anywhere},
    {"glptt-", anywhere},
    {"glft-", anywhere},
    {"glimt-", anywhere},
    {"glagent-", anywhere},
    {"glwt-", anywhere},
    {"glsoat-", anywhere},
    {"glffct-", anywhere},
    {"GR1348941", anywhere},
    // Slack; `xoxd-` is a cookie, percent-encoded.
    {"xoxa-", anywhere},
    {"xoxb-", anywhere},
    {"xoxc-", anywhere},
    {"xoxd-", anywhere | base64},
    {"xoxe-", anywhere},
    {"xoxe.", anywhere},
    {"xoxo-", anywhere},
    {"xoxp-", anywhere},
    {"xoxr-", anywhere},
    {"xoxs-", anywhere},
    {"xapp-", anywhere},
    // Google; authorization codes and refresh tokens have a slash.
    {"ya29.", anywhere},
    {"AIza", anywhere | opaque},
    {"GOCSPX-", anywhere},
    {"1//", opaque},
    {"1%2F%2F", opaque},
    {"1%2f%2f", opaque},
    {"4/0A", opaque},
    {"4%2F0A", opaque},
    {"4%2f0A", opaque},
    // Atlassian.
    {"ATATT", anywhere | tail},
    {"ATCTT", anywhere | tail},
    {"ATBB", opaque},
    // Stripe and Standard Webhooks.
    {"sk_live_", 0},
    {"sk_test_", 0},
    {"sk_org_", 0},
    {"rk_live_", 0},
    {"rk_test_", 0},
    {"whsec_", anywhere | base64},
    // Shopify, Linear.
    {"shpat_", anywhere},
    {"shpca_", anywhere},
    {"shppa_", anywhere},
    {"shpss_", anywhere},
    {"shprt_", anywhere},
    {"lin_api_", 0},
    {"lin_oauth_", 0},
    {"lin_wh_", 0},
    // JWS and JWE: `{"`, and the members that a header begins with.
    {"eyJ", opaque},
    {"eyJhbGci", anywhere},
    {"eyJ0eXAi", anywhere},
    {"eyJraWQi", anywhere},
    {"eyJlbmMi", anywhere},
    {"eyJjdHki", anywhere},
    // Our own sealed text.
    {"lks1.", anywhere},
};

constexpr std::size_t min_rest = 8;
constexpr std::size_t min_opaque = 20;
constexpr std::size_t min_inside = 16;
// How much of what follows a scheme is looked at to tell credentials from a word.
constexpr std::size_t max_look = 512;

// Names -------------------------------------------------------------------------------------------

// In lower case, without `_`, `-` and `.`. A name that ends like this has a secret for a value ...
constexpr const char* endings[] = {
    "token",       "secret",        "password",  "passwd",       "passphrase",
    "apikey",      "privatekey",    "secretkey", "accesskey",    "principalkey",
    "signingkey",  "encryptionkey", "masterkey", "latchkeykeys", "credential",
    "credentials", "assertion",     "signature", "signature256", "codeverifier",
    "authcode",    "devicecode",    "usercode",  "jwt",          "authorizationcode",
};
// ... and so has one that is this, from its last dot on.
constexpr const char* exact[] = {"pwd", "pass", "sig"};
// These mean other things as often.
constexpr const char* ambiguous[] = {"code", "state"};
// Their values go to the end of a line.
constexpr const char* headers[] = {"authorization", "cookie"};
constexpr const char* literals[] = {"null", "true", "false", "undefined"};
constexpr const char* schemes[] = {"bearer", "basic", "token", "digest", "negotiate", "dpop"};

// Compares from the end, with `_`, `-` and `.` passed over; `whole` up to the last dot.
[[gnu::noinline]] bool ends_with(std::string_view name, std::string_view ending,
                                 bool whole) noexcept {
  std::size_t i = name.size();
  std::size_t left = ending.size();
  while (left > 0) {
    if (i == 0) return false;
    const char c = lower(name[--i]);
    if (is_joiner(c)) {
      if (whole && c == '.') return false;
      continue;
    }
    if (c != ending[--left]) return false;
  }
  return !whole || i == 0 || name[i - 1] == '.';
}

template <std::size_t N>
bool is_one_of(std::string_view name, const char* const (&words)[N], bool whole) noexcept {
  return std::any_of(std::begin(words), std::end(words),
                     [=](const char* word) { return ends_with(name, word, whole); });
}

enum class Name : std::uint8_t { plain, weak, strong, header };

Name name_of(std::string_view word) noexcept {
  if (is_one_of(word, headers, false)) return Name::header;
  if (is_one_of(word, endings, false) || is_one_of(word, exact, true)) return Name::strong;
  return is_one_of(word, ambiguous, true) ? Name::weak : Name::plain;
}

// -------------------------------------------------------------------------------------------------

/// One character as it is meant: how long it is written, and how often it is encoded.
struct Unit {
  char c{'\0'};
  std::uint8_t size{0};  // 0: the end of the text
  std::uint8_t depth{0};
};

class Redactor {
public:
  Redactor(std::string_view text, MutBytes out) noexcept : text_{text}, out_{out} {}

  void run() noexcept {
    while (at_ < text_.size()) {
      if (take_pem() || take_token() || take_member() || take_scheme() || take_user_info()) {
        start_ = true;
        continue;
      }
      pass();
    }
  }
  [[nodiscard]] const Writer& out() const noexcept { return out_; }

private:
  [[nodiscard]] char at(std::size_t i) const noexcept { return i < text_.size() ? text_[i] : '\0'; }
  [[nodiscard]] bool has(std::size_t i, std::string_view part) const noexcept {
    return i <= text_.size() && text_.substr(i).starts_with(part);
  }

  [[nodiscard]] Unit unit(std::size_t i) const noexcept {
    if (i >= text_.size()) return {};
    const char c = text_[i];
    if (c == '%') {
      std::size_t digits = i + 1;
      std::uint8_t depth = 1;
      while (depth < 4 && at(digits) == '2' && at(digits + 1) == '5' &&
             hex_value(at(digits + 2)) >= 0 && hex_value(at(digits + 3)) >= 0) {
        digits += 2;
        ++depth;
      }
      return encoded(i, digits, depth);
    }
    if (c == '\\' && has(i + 1, "u00")) return encoded(i, i + 4, 1);
    if (c == '&') {
      for (const std::string_view entity : {"&quot;", "&#34;", "&#39;", "&#x27;"}) {
        if (has(i, entity)) {
          const bool is_double = entity[1] == 'q' || entity[3] == '4';
          return {is_double ? '"' : '\'', static_cast<std::uint8_t>(entity.size()), 1};
        }
      }
    }
    return {c, 1, 0};
  }
  [[nodiscard]] Unit encoded(std::size_t i, std::size_t digits, std::uint8_t depth) const noexcept {
    const int high = hex_value(at(digits));
    const int low = hex_value(at(digits + 1));
    if (high < 0 || low < 0) return {text_[i], 1, 0};
    return {static_cast<char>(high * 16 + low), static_cast<std::uint8_t>(digits + 2 - i), depth};
  }

  // Copies one unit. What stands behind an escape (`\n`, `%0A`) can be the start of a word.
  void pass() noexcept {
    const char c = text_[at_];
    const Unit u = unit(at_);
    const bool escape = escaped_ && std::string_view{"nrtbf"}.find(c) != std::string_view::npos;
    out_.put(text_.substr(at_, u.size));
    at_ += u.size;
    start_ = escape || !is_word(c);
    edge_ = start_ || is_joiner(c);
    escaped_ = u.depth == 0 && c == '\\';
  }

  void copy_to(std::size_t end) noexcept {
    out_.put(text_.substr(at_, end - at_));
    at_ = end;
  }
  void replace_to(std::size_t end) noexcept {
    out_.put(marker);
    at_ = end;
    edge_ = true;
    escaped_ = false;
  }

  // 1. PEM (RFC 7468), with blanks as a form writes them too.
  bool take_pem() noexcept {
    constexpr std::string_view begin = "-----BEGIN";
    constexpr std::size_t label = 64;
    if (!has(at_, begin)) return false;
    std::string_view head = text_.substr(at_ + begin.size(), label);
    const auto end_of_label = std::find_if(head.begin(), head.end(), [](char c) {
      return !is_upper(c) && !is_digit(c) && c != ' ' && c != '+' && c != '%';
    });
    head = head.substr(0, static_cast<std::size_t>(end_of_label - head.begin()));
    if (head.find("PRIVATE") == std::string_view::npos) return false;
    std::size_t end = text_.find("-----END", at_);
    if (end != std::string_view::npos) {
      const std::size_t close = text_.substr(end + 8, label).find("-----");
      end = close == std::string_view::npos ? text_.size() : end + 8 + close + 5;
    }
    replace_to(std::min(end, text_.size()));
    return true;
  }

  // 2. Tokens by their form.
  bool take_token() noexcept {
    for (const Form& form : forms) {
      if (text_[at_] != form.prefix[0]) continue;
      const std::string_view prefix = form.prefix;
      if (!has(at_, prefix)) continue;
      const std::size_t begin = at_ + prefix.size();
      if (!edge_ && ((form.flags & anywhere) == 0 || !is_mixed(text_.substr(begin, min_inside)))) {
        continue;
      }
      const std::size_t end = end_of_token(begin, form.flags);
      if (end - begin < ((form.flags & opaque) != 0 ? min_opaque : min_rest)) continue;
      // `ghp_access_token=` is the name of a variable.
      const std::string_view word = text_.substr(at_, end_of_token(at_, 0) - at_);
      if (start_ && name_of(word) != Name::plain && marks_in(word) == 0) continue;
      replace_to(end);
      return true;
    }
    return false;
  }
  // Where a word goes on in front, it takes more to tell a token from the word.
  static bool is_mixed(std::string_view text) noexcept {
    return text.size() == min_inside && std::all_of(text.begin(), text.end(), is_word) &&
           marks_in(text) >= 2;
  }
  // Digits and capital letters: what words have few of.
  static std::size_t marks_in(std::string_view text) noexcept {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return is_digit(c) || is_upper(c); }));
  }
  [[nodiscard]] std::size_t end_of_token(std::size_t i, std::uint8_t flags) const noexcept {
    const bool wide = (flags & base64) != 0;
    const auto is_part = [=](char c) noexcept {
      return is_word(c) || (wide && (c == '+' || c == '/' || c == '=' || c == '%'));
    };
    while (i < text_.size() && is_part(text_[i])) ++i;
    if ((flags & tail) != 0 && at(i) == '=' && is_alnum(at(i + 1))) {
      while (i < text_.size() && (is_word(text_[i]) || text_[i] == '=')) ++i;
    }
    return i;
  }

  // 4. Values by their name.
  bool take_member() noexcept {
    if (!start_ || !is_word(text_[at_])) return false;
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const Name name = name_of(text_.substr(at_, end - at_));
    if (name == Name::plain) return false;

    bool quoted = false;
    std::size_t i = end;
    Unit u = unit(i);
    while (u.size != 0 && (is_quote(u.c) || u.c == '\\' || u.c == ']')) {
      quoted = quoted || is_quote(u.c);
      u = unit(i += u.size);
    }
    const bool element = i == end && at_ > 0 && text_[at_ - 1] == '<' && u.c == '>';
    i = skip_blanks(i, false);
    u = unit(i);
    const bool listed = quoted && u.c == ',';
    if (u.size == 0 || !(u.c == '=' || u.c == ':' || listed || element)) return false;
    const Unit sign = u;
    i += u.size;
    if (at(i) == '>' && sign.c == '=') ++i;
    const std::size_t value = skip_blanks(i, true);
    const bool blank = value > i;
    const bool wrapped = std::any_of(text_.begin() + static_cast<std::ptrdiff_t>(i),
                                     text_.begin() + static_cast<std::ptrdiff_t>(value), is_break);

    // A quoted value; the quotation mark may itself be escaped.
    std::size_t open = value;
    while (unit(open).c == '\\') open += unit(open).size;
    u = unit(open);
    if (is_quote(u.c)) {
      const std::size_t begin = open + u.size;
      const std::size_t close = end_of_quoted(value, open);
      return replace(begin, close, name == Name::weak && sign.c != '=');
    }
    if (listed || wrapped) return false;
    if (name == Name::header && sign.c != '=' && !quoted) return replace(value, end_of_line(value));
    // A list of them, which a person or a program wrote with brackets.
    if (u.c == '[' && sign.c != '=' && name != Name::weak) return replace(value, end_of_list(open));
    const bool may_be_word = name == Name::weak && sign.c != '=' && !element;
    if (has(open, marker)) {
      // What stood here was no secret as a whole, or nothing would stand behind it.
      if (may_be_word) return false;
      return replace(value, std::max(open + marker.size(), end_of_run(value, sign, quoted)));
    }
    if (u.c == '{' || (u.c == '[' && quoted)) return false;
    if (may_be_word &&
        (quoted || !is_opaque(text_.substr(value, end_of_token(value, base64) - value),
                              blank ? min_inside : min_rest))) {
      return false;
    }
    std::size_t close = end_of_run(value, sign, quoted);
    const std::string_view word = text_.substr(value, close - value);
    if (is_one_of(word, schemes, true)) close = end_of_run(skip_blanks(close, false), sign, quoted);
    return replace(value, close);
  }

  bool replace(std::size_t begin, std::size_t end, bool unless_word = false) noexcept {
    const std::string_view value = text_.substr(begin, end - begin);
    if (value.empty() || (unless_word && is_plain_word(value))) return false;
    for (const std::string_view literal : literals) {
      if (value == literal) return false;
    }
    copy_to(begin);
    replace_to(end);
    return true;
  }

  [[nodiscard]] std::size_t skip_blanks(std::size_t i, bool breaks) const noexcept {
    for (Unit u = unit(i); u.size != 0; u = unit(i)) {
      if (!is_blank(u.c) && !(breaks && is_break(u.c))) break;
      i += u.size;
    }
    return i;
  }

  // The closing quotation mark has as many backslashes in front as the opening one, or as many more
  // as stand for whole escaped backslashes. Without one, everything is the value.
  [[nodiscard]] std::size_t end_of_quoted(std::size_t value, std::size_t open) const noexcept {
    const Unit mark = unit(open);
    std::size_t escapes = 0;
    for (std::size_t i = value; i < open; i += unit(i).size) ++escapes;
    std::size_t slashes = 0;
    std::size_t first = 0;
    for (std::size_t i = open + mark.size; i < text_.size();) {
      const Unit u = unit(i);
      if (u.c == '\\' && u.depth <= mark.depth) {
        if (slashes++ == 0) first = i;
      } else if (u.c == mark.c && u.depth <= mark.depth &&
                 slashes % (2 * (escapes + 1)) == escapes) {
        return escapes == 0 ? i : first_of_last(first, i, escapes);
      } else {
        slashes = 0;
      }
      i += u.size;
    }
    return text_.size();
  }
  // The last `count` units before `end`, in a run of backslashes from `begin` on.
  [[nodiscard]] std::size_t first_of_last(std::size_t begin, std::size_t end,
                                          std::size_t count) const noexcept {
    std::size_t units = 0;
    for (std::size_t i = begin; i < end; i += unit(i).size) ++units;
    for (; units > count; --units) begin += unit(begin).size;
    return begin;
  }

  // A header ends with its line, or with the quotation marks around all of it.
  [[nodiscard]] std::size_t end_of_line(std::size_t begin) const noexcept {
    std::size_t i = begin;
    const char before = at_ > 0 ? text_[at_ - 1] : '\0';
    for (Unit u = unit(i); u.size != 0; u = unit(i)) {
      if (is_break(u.c) || u.c == '\0') break;
      if (u.c == '\\' && (at(i + 1) == 'n' || at(i + 1) == 'r')) break;
      if (is_quote(before) && u.c == before) {
        // As it was opened, it may be escaped.
        while (i > begin && text_[i - 1] == '\\') --i;
        break;
      }
      i += u.size;
    }
    return i;
  }

  // The bracket that closes a list, outside of quotation marks.
  [[nodiscard]] std::size_t end_of_list(std::size_t i) const noexcept {
    char mark = '\0';
    for (; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\\') {
        ++i;
      } else if (mark != '\0') {
        if (c == mark) mark = '\0';
      } else if (is_quote(c)) {
        mark = c;
      } else if (c == ']') {
        return i + 1;
      }
    }
    return text_.size();
  }

  [[nodiscard]] std::size_t end_of_run(std::size_t i, const Unit& sign,
                                       bool quoted) const noexcept {
    for (Unit u = unit(i); u.size != 0; u = unit(i)) {
      const bool ends = static_cast<std::uint8_t>(u.c) <= ' ' || is_quote(u.c) || u.c == '&' ||
                        u.c == '<' || u.c == '>' || u.c == '\x7F' ||
                        (quoted && (u.c == ',' || u.c == '}' || u.c == ']'));
      if (ends && u.depth <= sign.depth) break;
      if (u.c != '\\') {
        i += u.size;
        continue;
      }
      // Backslashes in front of a quotation mark belong to it.
      std::size_t behind = i;
      while (unit(behind).c == '\\') behind += unit(behind).size;
      if (is_quote(unit(behind).c)) break;
      i = behind;
    }
    return i;
  }

  // A word of a closed list, or a number.
  static bool is_plain_word(std::string_view text) noexcept {
    const auto all = [text](bool (*is)(char) noexcept) noexcept {
      return std::all_of(text.begin(), text.end(), [is](char c) { return is(c) || is_joiner(c); });
    };
    return all(is_lower) || all(is_upper) || (text.size() < 6 && all(is_digit));
  }
  static bool is_opaque(std::string_view text, std::size_t least) noexcept {
    return text.size() >= least && std::any_of(text.begin(), text.end(), is_digit) &&
           std::any_of(text.begin(), text.end(), [](char c) { return is_upper(c) || is_lower(c); });
  }

  // 5. Credentials after their scheme (RFC 9110 section 11.4).
  bool take_scheme() noexcept {
    if (!start_) return false;
    for (const std::string_view scheme : {"bearer", "basic", "token"}) {
      if (text_.size() - at_ <= scheme.size()) continue;
      if (!ends_with(text_.substr(at_, scheme.size()), scheme, true)) continue;
      const std::size_t gap = at_ + scheme.size();
      std::size_t begin = skip_blanks(gap, false);
      if (begin == gap && at(gap) == '+') ++begin;
      if (begin == gap || !is_credential(scheme, run_of(begin, max_look))) continue;
      return replace(begin, begin + run_of(begin, text_.size()).size());
    }
    return false;
  }
  // A token68 (RFC 9110 section 11.2).
  [[nodiscard]] std::string_view run_of(std::size_t begin, std::size_t most) const noexcept {
    const std::string_view rest = text_.substr(begin, most);
    const auto end = std::find_if(rest.begin(), rest.end(), [](char c) {
      return !is_word(c) && c != '+' && c != '/' && c != '=' && c != '~';
    });
    return rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  }
  static bool is_credential(std::string_view scheme, std::string_view value) noexcept {
    if (scheme == "basic") return is_user_and_password(value);
    if (scheme == "token") return is_opaque(value, min_opaque);
    return value.size() >= 32 || (value.size() >= min_rest && marks_in(value.substr(1)) > 0);
  }
  // Base64 of something with a colon in it (RFC 7617 section 2).
  static bool is_user_and_password(std::string_view text) noexcept {
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
      std::uint32_t value = 0;
      if (is_upper(c)) {
        value = static_cast<std::uint32_t>(c - 'A');
      } else if (is_lower(c)) {
        value = static_cast<std::uint32_t>(c - 'a' + 26);
      } else if (is_digit(c)) {
        value = static_cast<std::uint32_t>(c - '0' + 52);
      } else {
        value = c == '+' || c == '-' ? 62 : 63;
      }
      bits = bits << 6 | value;
      count += 6;
      if (count >= 8) {
        count -= 8;
        if ((bits >> count & 0xff) == ':') return true;
      }
    }
    return false;
  }

  // 3. `://user:password@`.
  bool take_user_info() noexcept {
    const Unit colon = unit(at_);
    if (colon.c != ':') return false;
    const Unit first = unit(at_ + colon.size);
    const Unit second = unit(at_ + colon.size + first.size);
    if (first.c != '/' || second.c != '/') return false;
    const std::size_t begin = at_ + colon.size + first.size + second.size;
    std::size_t last = begin;
    bool with_password = false;
    bool seen_colon = false;
    std::size_t i = begin;
    for (Unit u = unit(i); u.size != 0; u = unit(i)) {
      // What has been replaced already is not a part of it.
      if (u.c == marker[0] && has(i, marker)) break;
      if (u.depth <= colon.depth) {
        const bool ends = u.c == '/' || u.c == '?' || u.c == '#' || u.c == '\\' || u.c == '<' ||
                          u.c == '>' || is_quote(u.c) || static_cast<std::uint8_t>(u.c) <= ' ';
        if (ends) break;
        if (u.c == ':') seen_colon = true;
        if (u.c == '@') {
          last = i;
          with_password = seen_colon;
        }
      }
      i += u.size;
    }
    const std::string_view before = text_.substr(0, at_);
    const auto is_scheme = [before](std::string_view scheme) noexcept {
      return before.size() >= scheme.size() &&
             ends_with(before.substr(before.size() - scheme.size()), scheme, true);
    };
    if (!with_password && !is_scheme("http") && !is_scheme("https")) return false;
    return replace(begin, last);
  }

  std::string_view text_;
  std::size_t at_{0};
  Writer out_;
  bool start_{true};  // a word can begin here
  bool edge_{true};  // as above, or a part of one
  bool escaped_{false};  // behind a backslash
};

}  // namespace

Result<std::size_t> redact(std::string_view text, MutBytes out) noexcept {
  Redactor redactor{text, out};
  redactor.run();
  if (redactor.out().overflow()) return Errc::output_too_small;
  return redactor.out().size();
}

}  // namespace latchkey::redact
