//! The same chat over TLS of the node's own: the load, whose users cut their connections and come back, says and hears
//! everything over `wss://`, and nobody gets in who does not trust the node's authority.

use std::time::Duration;

use chaos_checkers::{Contract, Outcome, Question, judge};
use chaos_observe::{Clock, History, Recorder, SpanStore};
use chaos_workload::{Churn, FanOut, Node as Target, Targets};
use tempfile::TempDir;

use crate::{guarded::Authority, lone_node::Node, wait::PATIENCE, warm::play};

/// Loads here are steady when they hold still for so long.
const HOLD: Duration = Duration::from_millis(300);
const CUT: Duration = Duration::from_millis(200);

fn load() -> FanOut {
    let churn = Churn { leavers_per_room: 0, cutters_per_room: 1, cut_every: CUT, ..Churn::default() };
    FanOut { rooms: 2, members_per_room: 6, sends_per_second: 60, churn, ..FanOut::default() }
}

#[test]
fn a_load_over_tls_gets_everything_and_a_stranger_gets_nothing() {
    play(async {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new();
        let (cert, key) = authority.pair(&folder);
        let node = Node::start(&["--auth", "none", "--tls-cert", &cert, "--tls-key", &key]);
        let url = format!("wss://{}", node.address().await);
        let to = |ca: &str| {
            let nodes = vec![Target { name: "chat-1".to_owned(), url: url.clone() }];
            Targets { tls: Some(Authority::trust(ca)), ..Targets::new(nodes) }
        };
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&path).expect("a history");
        let spans = SpanStore::create(&folder.path().join("spans.jsonl")).expect("spans");
        let trusted = to(&authority.file(&folder, "ca.pem"));
        let load = load().start(trusted, 7, Clock::start(), recorder.clone(), spans.clone()).await.expect("a load");
        load.steady(HOLD, PATIENCE, PATIENCE).await.expect("a load that is heard");
        load.pause_sends();
        load.drain(PATIENCE).await.expect("everything heard");
        assert_eq!(load.final_read(PATIENCE).await, []);
        let summary = load.finish().await;
        recorder.finish().expect("a history");
        assert!(summary.counts.received > 0 && summary.counts.missing() == 0, "{:?}", summary.counts);
        let verdict = judge(&History::load(&path).expect("a history"), &Question::of(Contract::AckedIsDurable));
        assert_eq!(verdict.outcome, Outcome::Pass, "{:?}", verdict.reasons);

        let other = Recorder::create(&folder.path().join("other.jsonl")).expect("a history");
        let stranger = to(&Authority::new().file(&folder, "other.pem"));
        let brief = load_of_strangers(stranger, other, spans).await;
        assert!(brief.contains("certificate"), "{brief}");
    });
}

/// What a load says that nobody lets in.
async fn load_of_strangers(targets: Targets, recorder: Recorder, spans: SpanStore) -> String {
    let load = load().start(targets, 7, Clock::start(), recorder, spans).await.expect("a load");
    let steady = load.steady(HOLD, PATIENCE, Duration::from_secs(2)).await;
    load.finish().await;
    format!("{:?}", steady.expect_err("a load that nobody lets in"))
}
