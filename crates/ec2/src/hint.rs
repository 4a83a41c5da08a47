//! A queue that tells that something changed: `EventBridge` puts launches and tags there.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use vxscope_control::mirror::ApiError;

use crate::error::api_error;

/// Messages of a call at most (SQS).
const MESSAGES_MAX: i32 = 10;
/// Seconds that a call waits for a message; whoever ends waits for it.
const WAIT: i32 = 5;

/// Waits for messages and takes them from the queue; how many came. What they say is not read:
/// they only tell that it is worth looking.
pub(crate) async fn receive(client: &Client, queue: &str) -> Result<usize, ApiError> {
    let call = client.receive_message().queue_url(queue);
    let call = call
        .max_number_of_messages(MESSAGES_MAX)
        .wait_time_seconds(WAIT);
    let there = call.send().await.map_err(|error| api_error(&error))?;
    let messages = there.messages.unwrap_or_default();
    let handles = messages.iter().filter_map(|one| one.receipt_handle());
    let entries = handles.enumerate().filter_map(|(at, handle)| {
        let entry = DeleteMessageBatchRequestEntry::builder();
        entry.id(at.to_string()).receipt_handle(handle).build().ok()
    });
    let entries: Vec<DeleteMessageBatchRequestEntry> = entries.collect();
    if !entries.is_empty() {
        let call = client.delete_message_batch().queue_url(queue);
        let call = call.set_entries(Some(entries));
        call.send().await.map_err(|error| api_error(&error))?;
    }
    Ok(messages.len())
}
