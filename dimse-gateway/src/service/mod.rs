//! The service classes, a file each: they are given a command and its data set, and return the response.
//!
//! C-FIND, C-MOVE, C-GET and storage commitment will stand beside `echo` and `store`.

mod echo;
mod store;

use crate::association::{Association, Ending, Message, Shared};
use crate::command::{CommandField, Response};
use crate::status::{Status, Verdict};
use crate::transport::Transport;
use crate::{AssociationInfo, Observer};

/// Answers one message, its data set included.
///
/// # Errors
/// The way in which the association ended before the answer was sent.
pub(crate) async fn answer<T: Transport>(
    shared: &Shared,
    info: &AssociationInfo,
    association: &mut Association<T>,
    message: &Message,
) -> Result<(), Ending> {
    let mut data_set = association.data_set(message);
    let response = match message.command.field {
        CommandField::CEchoRq => Some(echo::answer(shared, info, message)),
        CommandField::CStoreRq => Some(store::receive(shared, info, message, &mut data_set).await?),
        // Has no response (PS3.7 9.3.2.3), and nothing here can be cancelled: operations are answered one by one.
        CommandField::CCancelRq => None,
        CommandField::Response(code) => {
            tracing::debug!(command_field = code, "a response to nothing was ignored");
            None
        }
        CommandField::Other(code) => Some(unrecognized(shared.observer.as_ref(), info, message, code)),
    };
    // A request of an unknown kind, or an echo that claims to have one, may come with a data set.
    data_set.read_away().await?;
    match response {
        Some(response) => association.respond(message.context_id, &response).await,
        None => Ok(()),
    }
}

fn unrecognized(observer: &dyn Observer, info: &AssociationInfo, message: &Message, code: u16) -> Response {
    tracing::info!(command_field = code, "unrecognized operation");
    observer.operation_unrecognized(info, code);
    let verdict = Verdict::new(Status::UNRECOGNIZED_OPERATION, "operation is not offered here");
    Response::to(&message.command, verdict)
}
