/// References to repositories, as people and programs write them, in one canonical form.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::repo {

inline constexpr std::size_t max_text = 1'024;
/// Bytes that `parse` needs for its result.
inline constexpr std::size_t max_canonical = 1'536;
inline constexpr std::size_t max_hosts = 16;

enum class Provider : std::uint8_t {
  github = 1,
  gitlab = 2,
  bitbucket = 3,
  git = 4,  ///< anything that speaks git over https
};

/// A host whose repositories may be named.
struct Host {
  Provider provider{};
  std::string_view host;  ///< lower case, with its port where that is not the usual one
  std::string_view base;  ///< the path that its repositories lie below: empty, or `/...`
  bool plain{false};  ///< http, which is for this machine alone
};

/// The hosts that everybody means: github.com, gitlab.com, bitbucket.org.
[[nodiscard]] std::span<const Host> usual_hosts() noexcept;

/// A repository. Where the provider ignores case, `owner` and `name` are in lower case.
struct Repo {
  Provider provider{};
  std::string_view host;  ///< as configured
  std::string_view base;  ///< as configured
  std::string_view owner;  ///< groups with `/` between; at GitHub and Bitbucket one segment
  std::string_view name;  ///< without `.git`
  std::string_view clone_url;
  bool plain{false};
};

/// Reads a reference to a repository.
///
///   | form                                              | for                             |
///   | ------------------------------------------------- | ------------------------------- |
///   | `https://host[:443]/base/owner/name[.git][/more]` | every host; `more` is dropped   |
///   | `ssh://git@host[:port]/owner/name[.git]`          | a host name configured once     |
///   | `git@host:owner/name[.git]`                       | a host name configured once     |
///   | `owner/name[.git]`                                | github.com, where configured    |
///
/// Blanks around it, one query, one fragment and slashes at the end are dropped; nothing else is
/// repaired, and dot segments are refused in `more` too. At GitLab the owner is every group and
/// `more` begins at a segment `-`; other hosts that are not GitHub or Bitbucket have no `more`.
/// Segments are `[A-Za-z0-9_.-]+`, none of them
/// `.`, `..` or `-`, none ending in `.git` once that was taken off the last. User info, control
/// bytes, backslashes, percent signs and anything outside ASCII are refused.
///
/// @param hosts  at most 16; compared exactly, in lower case, port and base path included.
/// @param out    at least `max_canonical` bytes, that the result points into.
/// @return the repository, or `repo_invalid`, `repo_host_not_allowed`.
/// @see   git-clone(1), "GIT URLS"
[[nodiscard]] Result<Repo> parse(std::string_view text, std::span<const Host> hosts,
                                 MutBytes out) noexcept;

/// True for a segment of a repository's path.
[[nodiscard]] bool is_segment(std::string_view text) noexcept;

/// True when the provider takes names in any case for the same.
[[nodiscard]] bool ignores_case(Provider provider) noexcept;

}  // namespace latchkey::repo
