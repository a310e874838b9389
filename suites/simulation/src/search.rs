//! Many seeds, and a failing one made small.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

use crate::world::fault::Planned;
use crate::world::plan::Plan;
use crate::world::run::{Report, play};

/// Play the seeds on `threads` threads, each seed on one; reports come in the order in which they are done.
pub fn sweep(
    seeds: std::ops::Range<u64>,
    threads: usize,
    plan: impl Fn(u64) -> Plan + Sync,
    mut seen: impl FnMut(Report),
) {
    let next = AtomicU64::new(seeds.start);
    thread::scope(|scope| {
        let (to, from) = mpsc::channel();
        for _ in 0..threads {
            let (to, next, plan, end) = (to.clone(), &next, &plan, seeds.end);
            scope.spawn(move || {
                let more = || next.fetch_update(Relaxed, Relaxed, |seed| (seed < end).then(|| seed + 1));
                while let Ok(seed) = more() {
                    if to.send(play(&plan(seed), false)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to);
        from.into_iter().for_each(&mut seen);
    });
}

/// The fewest faults that still fail: delta debugging (Zeller, Hildebrandt 2002) by halves, then one by one. Worlds are
/// deterministic, so "fails" is asked once per try. At most `tries` worlds are played.
pub fn shrink(plan: &Plan, mut tries: u32, fails: impl Fn(&Report) -> bool) -> Plan {
    let mut best = plan.clone();
    let mut pieces = 2;
    while !best.faults.is_empty() && tries > 0 {
        let size = best.faults.len().div_ceil(pieces);
        let smaller = (0..pieces).find_map(|piece| {
            let without = removed(&best.faults, piece * size, size);
            if without.len() == best.faults.len() || tries == 0 {
                return None;
            }
            tries -= 1;
            let candidate = Plan { faults: without, ..best.clone() };
            fails(&play(&candidate, false)).then_some(candidate)
        });
        match smaller {
            Some(candidate) => (best, pieces) = (candidate, (pieces - 1).max(2)),
            None if size > 1 => pieces = (pieces * 2).min(best.faults.len()),
            None => break,
        }
    }
    best
}

fn removed(faults: &[Planned], from: usize, count: usize) -> Vec<Planned> {
    let kept = faults.iter().enumerate().filter(|(at, _)| !(from..from + count).contains(at));
    kept.map(|(_, fault)| fault.clone()).collect()
}
