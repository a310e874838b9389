//! Every fault on a real cluster: it bites and shows it, it heals, and it shows nothing when its bite is left out.
//!
//! One cluster for all tests, which take it in turn and find it as new.

mod links;
mod nothing;
mod processes;
mod restarts;
mod stage;
