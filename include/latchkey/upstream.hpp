/// Which requests may carry a repository's credential: a list of what is allowed, and nothing else.
#pragma once

#include "latchkey/json.hpp"
#include "latchkey/repo.hpp"
#include "latchkey/types.hpp"

namespace latchkey::upstream {

/// What a request does, which is what somebody must be allowed to do.
enum class Right : std::uint8_t {
  fetch = 1,
  push = 2,
  read = 3,  ///< pull requests and comments
  write = 4,  ///< comments and reviews
  /// Fetching or pushing large files, which its body says: see `lfs_right`.
  lfs = 5,
};

/// Checks a request that is to carry the credential of `repo`.
///
/// Checks, in this order:
///
///   | check                                                              | else               |
///   | ------------------------------------------------------------------ | ------------------ |
///   | `url::parse` reads it; no percent sign in the path, no empty       | `upstream_url_     |
///   | segment, `.` or `..`                                               | invalid`           |
///   | scheme, host and port of the repository, or `api.github.com` for   | `upstream_host_    |
///   | github.com                                                         | not_allowed`       |
///   | method, path behind the repository and query as below              | `upstream_request_ |
///   |                                                                    | invalid`           |
///   | the path in front is the repository's, with or without `.git`      | `repository_       |
///   |                                                                    | mismatch`          |
///
///   | request                                                        | right   |
///   | -------------------------------------------------------------- | ------- |
///   | GET `/info/refs?service=git-upload-pack`, POST `/git-upload-pack`   | `fetch` |
///   | GET `/info/refs?service=git-receive-pack`, POST `/git-receive-pack` | `push`  |
///   | POST `/info/lfs/objects/batch`                                 | `lfs`   |
///   | POST `/info/lfs/locks/verify`                                  | `push`  |
///   | GET, HEAD `/pulls/N`, `/pulls/N/comments`, `/pulls/N/reviews`, `/issues/N/comments` | `read`
///   | | POST `/issues/N/comments`, `/pulls/N/reviews`; PATCH `/issues/comments/N` | `write` |
///
/// The last two are for `api.github.com/repos/owner/name`; a GET there may have `page` and
/// `per_page`, each once. Methods are compared exactly, paths as the provider compares names.
///
/// @return the right that it takes, or one of the four.
[[nodiscard]] Result<Right> check(const repo::Repo& repo, std::string_view method,
                                  std::string_view url) noexcept;

/// Checks a redirect that is to be followed with the credential: `guard::outbound` within the
/// origin of `from`, and a request of the same right.
///
/// @param from  where the request went; it passed `check`.
/// @param to    the absolute target.
/// @param hop   redirects followed, this one included; at most 5.
/// @return as `check`; `upstream_host_not_allowed` also for another origin and for the sixth hop,
///         `upstream_request_invalid` also for another right.
/// @see   RFC 9110 section 15.4, threat T28
[[nodiscard]] Result<Right> redirect(const repo::Repo& repo, std::string_view method,
                                     std::string_view from, std::string_view to,
                                     std::uint32_t hop) noexcept;

inline constexpr std::size_t max_lfs_body = 64'000;

/// Reads what a batch of large files asks for. Anything but a plain `download` takes `push`.
///
/// @param body  overwritten while it is read.
/// @see   git-lfs, docs/api/batch.md
[[nodiscard]] Right lfs_right(MutBytes body, std::span<json::Node> nodes) noexcept;

}  // namespace latchkey::upstream

namespace latchkey::scope {

/// `upstream::check`, by the name that it has among the decisions about whose credential is used.
inline constexpr auto& check_upstream = upstream::check;

}  // namespace latchkey::scope
