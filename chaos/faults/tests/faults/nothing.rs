//! Each fault with its bite left out: the same evidence functions see nothing.

use std::time::Duration;

use chaos_faults::{
    Cut, Everyone, FastRestart, Inject, Kill, Pause, RedisTarget, ReplicationDelay, Restart, RollingRestart, Target,
    Terminate,
};

use crate::stage::{busiest, on_stage};

#[test]
fn a_fault_that_does_nothing_proves_nothing() {
    on_stage(|stage| async move {
        let redis = || Target::Redis(busiest());
        stage.shows_nothing(&Kill(redis())).await;
        stage.shows_nothing(&Kill(Target::Chat(1))).await;
        stage.shows_nothing(&Kill(Target::Redis(RedisTarget::AllReplicasOfSlot(9)))).await;
        stage.shows_nothing(&Terminate(redis())).await;
        stage.shows_nothing(&Pause(redis())).await;
        stage.shows_nothing(&Restart(redis())).await;
        stage.shows_nothing(&FastRestart { redis: busiest(), down_for: Duration::ZERO }).await;
        stage.shows_nothing(&RollingRestart { of: Everyone::Everything }).await;
        stage.shows_nothing(&ReplicationDelay { redis: busiest(), delay: Duration::from_millis(200) }).await;
        let cut: Inject = toml::from_str::<std::collections::BTreeMap<String, Inject>>(
            r#"inject = { cut = { redis = "primary_of_busiest_room" } }"#,
        )
        .unwrap()
        .remove("inject")
        .unwrap();
        let Inject::Cut(cut) = cut else { panic!("{cut:?}") };
        stage.shows_nothing::<Cut>(&cut).await;
    });
}
