//! Catching up: pages of history for one session until it stands where the node stands.
//!
//! Live entries need no holding back by hand: they go to sessions that stand right before them, and this one does not
//! yet. Between two pages the read rule applies again, so a trim in between is noticed.

use std::sync::Arc;
use std::time::Duration;

use crate::outbox::{CloseReason, Outbox};
use crate::probe::Event;
use crate::room::{RoomCell, SessionId, Standing};
use crate::session::Hall;

/// When a page brought nothing although the node is further: the live reader is about to notice why.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn catch_up(hall: Arc<Hall>, cell: Arc<RoomCell>, session: SessionId, outbox: Arc<dyn Outbox>) {
    loop {
        outbox.writable().await;
        let Some(from) = cell.position(session) else { return };
        let page = hall.source.page(&cell.room, from).await;
        match cell.replay(session, from, &page, &hall.rules) {
            Standing::Behind if page.len() > 1 => {}
            Standing::Behind => tokio::time::sleep(PAUSE).await,
            Standing::Level => return hall.source.pump(&cell.room),
            Standing::Gone => return,
            Standing::Missing => {
                if cell.expel(session).is_some() {
                    outbox.close(CloseReason::HistoryLost);
                    hall.probe.see(Event::HistoryLost { sessions: 1 });
                }
                return;
            }
        }
    }
}
