//! Giving memory back while nobody needs it.

use std::time::Duration;

use mcp_os::memory::Tide;

/// By then a server was started, if one was wanted.
const FIRST: Duration = Duration::from_millis(500);
/// A process that does nothing may wake so often without anybody noticing.
const LOOK: Duration = Duration::from_secs(5);

/// Looks from time to time, as long as the runtime lasts. Nothing that passes a message on knows of it.
pub(crate) async fn give_memory_back() {
    let mut tide = Tide::default();
    tokio::time::sleep(FIRST).await;
    loop {
        tide.look();
        tokio::time::sleep(LOOK).await;
    }
}
