/// The golden vectors of a session's messages, natively.
#pragma once

#include "external.hpp"
#include "vectors_scope.hpp"

#include "latchkey/admission.hpp"

namespace latchkey::test::vectors {

inline const Names act_names{"nothing", "refuse", "acknowledge", "write", "send"};
inline const Names blob_names{"keep", "credential", "intent", "wipe"};
inline const Names stage_names{"absent", "marked", "queued", "sent", "done", "failed", "lapsed"};
inline const Names kept_names{"none", "stored", "superseded"};
inline const Names offer_names{"none", "credential", "malformed"};
inline const Names repository_names{"", "generic_git", "github", "gitlab"};
inline const Names failure_names{"none",         "interrupted",  "starting",   "unreachable",
                                 "setup_failed", "rate_limited", "overloaded", "permanent"};
inline const Names outcome_names{"", "accepted", "undelivered", "completed", "aborted"};

template <class E> std::string_view name_of(const Names& names, E value) {
  return names.at(static_cast<std::size_t>(value));
}

struct Rows {
  admission::Session session;
  admission::Message message;
};

inline Rows rows_of(const Json& in) {
  Rows out;
  const auto session = from_hex(said(in, "session"));
  const auto message = from_hex(said(in, "message"));
  if (!session.empty()) out.session = good(admission::decode_session(session));
  if (!message.empty()) out.message = good(admission::decode_message(message));
  return out;
}

inline UnixMillis time_of(const Json& in, const char* name) {
  const Json& at = in.at(name);
  return good(UnixMillis::from_f64(at.is_number() ? at.get<double>() : std::nan("")));
}

inline Json planned(const admission::Plan& plan) {
  if (plan.act == admission::Act::refuse) throw Refused{plan.code};
  Json out = {{"act", name_of(act_names, plan.act)}};
  const Json at = plan.at.value == 0 ? Json{} : Json(plan.at.value);
  if (plan.act == admission::Act::nothing) {
    out["at"] = at;
    return out;
  }
  Octets session(admission::session_size);
  Octets message(admission::message_size);
  admission::encode(plan.session, MutBytes{session}.first<admission::session_size>());
  admission::encode(plan.message, MutBytes{message}.first<admission::message_size>());
  out["session"] = hex(session);
  out["message"] = hex(message);
  out["version"] = plan.session.version;
  out["admitted"] = plan.session.admitted;
  out["open"] = plan.session.open;
  out["stage"] = name_of(stage_names, plan.message.stage);
  out["credential"] = name_of(kept_names, plan.message.credential);
  out["failure"] = name_of(failure_names, plan.message.failure);
  out["number"] = plan.message.number;
  out["sends"] = plan.message.sends;
  if (plan.act == admission::Act::acknowledge) return out;
  out["then"] = name_of(act_names, plan.then);
  out["blob"] = name_of(blob_names, plan.blob);
  out["epoch"] = plan.epoch;
  out["nextEpoch"] = plan.session.epoch;
  out["at"] = at;
  return out;
}

inline std::vector<std::string_view> texts_of(const Json& list) {
  std::vector<std::string_view> out;
  for (const Json& one : list) out.push_back(one.get_ref<const std::string&>());
  return out;
}

inline Json offer(const Json& in) {
  const auto kind = number_of<admission::Repository>(repository_names, said(in, "repository"));
  return name_of(offer_names, admission::offer(kind, said(in, "token")));
}

inline Json admission_plan(const Json& in) {
  const Json& from = in.at("candidate");
  const auto modes = texts_of(from.at("modes"));
  const auto models = texts_of(from.at("models"));
  admission::Candidate candidate;
  candidate.id = said(from, "id");
  candidate.turn = said(from, "turn");
  candidate.mode = said(from, "mode");
  candidate.model = said(from, "model");
  candidate.modes = modes;
  candidate.models = models;
  candidate.offer = number_of<admission::Offer>(offer_names, said(from, "offer"));
  const UnixMillis now = time_of(in, "now");
  if (from.contains("composedAt")) {
    candidate.composed_at = time_of(from, "composedAt");
    // 0 stands for none, which is said by not saying any.
    if (candidate.composed_at.value == 0) throw Refused{Errc::time_invalid};
  }
  const Rows stored = rows_of(in);
  return planned(admission::plan(candidate, stored.session, stored.message, now));
}

inline Json admission_drain(const Json& in) {
  const Rows stored = rows_of(in);
  return planned(admission::drain(stored.session, stored.message, time_of(in, "now")));
}

inline Json admission_settle(const Json& in) {
  const Json& from = in.at("report");
  admission::Report report;
  report.outcome = number_of<admission::Outcome>(outcome_names, said(from, "outcome"));
  report.failure = number_of<admission::Failure>(failure_names, said(from, "failure"), "none");
  report.sends = from.value("sends", std::uint8_t{0});
  const Rows stored = rows_of(in);
  return planned(admission::settle(stored.session, stored.message, report, time_of(in, "now")));
}

}  // namespace latchkey::test::vectors
