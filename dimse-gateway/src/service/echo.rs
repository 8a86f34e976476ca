//! C-ECHO, PS3.4 Annex A: whoever may associate gets success.

use crate::AssociationInfo;
use crate::association::{Message, Shared};
use crate::command::Response;
use crate::status::Verdict;

/// Answers a C-ECHO-RQ. Not in the log above debug: monitoring systems send it every few seconds.
pub(super) fn answer(shared: &Shared, info: &AssociationInfo, message: &Message) -> Response {
    tracing::debug!("echo");
    shared.observer.echoed(info);
    Response::to(&message.command, Verdict::success())
}
