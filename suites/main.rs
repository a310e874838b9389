//! Does it keep its promises? One module per promise; what `cargo test` runs in CI.
//!
//! Start at a module's name: it says the promise. The machinery that the scenarios share is the cluster handle of
//! `chaos-cluster` and the verbs of `chaos-drill`; there is deliberately no module of shared odds and ends here.

mod tidy;
