//! What the command line changes in a drill before it is judged sound: the few settings worth varying by hand.

use crate::drill::{Backend, Delivery, Drill, Fence};

/// Each `None` leaves the file's own value.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub seed: Option<u64>,
    pub engine: Option<String>,
    pub chat_nodes: Option<u8>,
    pub backend: Option<Backend>,
    pub fence: Option<Fence>,
    pub delivery: Option<Delivery>,
}

impl Overrides {
    pub(crate) fn apply(&self, drill: &mut Drill) {
        let cluster = &mut drill.cluster;
        set(&mut drill.seed, self.seed);
        set(&mut cluster.redis.engine, self.engine.clone());
        set(&mut cluster.chat_nodes, self.chat_nodes);
        set(&mut cluster.backend, self.backend);
        set(&mut cluster.fence, self.fence);
        set(&mut cluster.delivery, self.delivery);
    }

    /// The settings that no longer stand in the file, as the dotted paths of the file.
    pub(crate) fn paths(&self) -> Vec<&'static str> {
        let given = [
            (self.seed.is_some(), "seed"),
            (self.engine.is_some(), "cluster.redis.engine"),
            (self.chat_nodes.is_some(), "cluster.chat_nodes"),
            (self.backend.is_some(), "cluster.backend"),
            (self.fence.is_some(), "cluster.fence"),
            (self.delivery.is_some(), "cluster.delivery"),
        ];
        given.into_iter().filter(|(given, _)| *given).map(|(_, path)| path).collect()
    }

    /// As they were written on the command line, to be pasted again.
    pub fn as_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            arguments.extend(value.map(|value| format!("--{name} {value}")));
        };
        option("engine", self.engine.clone());
        option("nodes", self.chat_nodes.map(|nodes| nodes.to_string()));
        option("backend", self.backend.map(|backend| backend.to_string()));
        option("fence", self.fence.map(|fence| fence.to_string()));
        option("delivery", self.delivery.map(|delivery| delivery.to_string()));
        arguments
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}
