//! What one delivery costs a server, beside what the kernel alone asks for it and what other servers take.
//!
//! Every contestant is a process of its own on one core, the clients are this process on another. All are connected at
//! once and take turns under the same load, so that a machine whose speed wanders treats them alike; what is told is
//! the median of their ratios to the floor of the same turn.

mod clients;
mod contestants;
mod floor;
mod load;
mod npm;
mod process;
mod reader;
mod script;
mod stock;

use std::io::Write;
use std::time::Duration;

use crate::table::Table;
use clients::{Clients, Turn};
use contestants::{Contestant, Entrant};
pub use load::Load;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub loads: &'static [Load],
    pub entrants: &'static [Entrant],
    pub turns: usize,
    pub turn: Duration,
    /// Connections whose memory is weighed.
    pub idle: usize,
}

/// The node beside the floor.
pub const OURS: Size =
    Size { loads: &load::FULL, entrants: contestants::OURS, turns: 5, turn: Duration::from_secs(3), idle: 8000 };
/// And beside other servers. Some cannot keep up, which makes a turn longer.
pub const PEERS: Size = Size { entrants: contestants::PEERS, turn: Duration::from_millis(1500), ..OURS };
/// What compression saves and costs, on the talk of the corpus.
pub const COMPRESSED: Size = Size { loads: &load::TALK, entrants: contestants::COMPRESSED, idle: 0, ..OURS };
/// As small as it can be and still show that everything works.
pub const SMOKE: Size =
    Size { loads: &load::SMOKE, entrants: contestants::PEERS, turns: 1, turn: Duration::from_millis(200), idle: 50 };

/// The part that this process plays: `--part NAME THRESHOLD` for a contestant, the whole comparison otherwise.
pub fn main(sizes: &[Size], out: &mut impl Write) -> std::io::Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--part");
    if let (Some(_), Some(part), Some(threshold)) = (arguments.next(), arguments.next(), arguments.next()) {
        return contestants::play(&part, &threshold);
    }
    process::pin(process::CLIENTS);
    process::allow_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for size in sizes {
            let entrants = present(size.entrants, out)?;
            for load in size.loads {
                compare(load, &entrants, size, out).await?;
            }
            if size.idle > 0 {
                weigh(size.idle, &entrants, out).await?;
            }
        }
        Ok(())
    })
}

/// Who can take part. Who cannot is named, and missed where everything has to be there.
fn present(entrants: &[Entrant], out: &mut impl Write) -> std::io::Result<Vec<Entrant>> {
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for &entrant in entrants {
        match entrant.absent() {
            None => present.push(entrant),
            Some(why) => absent.push(format!("NOT MEASURED: {}: {why}", entrant.name())),
        }
    }
    for line in &absent {
        writeln!(out, "{line}")?;
    }
    let everything = std::env::var("CI").is_ok_and(|ci| ci == "true");
    if everything && !absent.is_empty() { Err(std::io::Error::other(absent.join("; "))) } else { Ok(present) }
}

/// One load. As many take turns as there are descriptors for, and the floor with each group.
async fn compare(load: &Load, entrants: &[Entrant], size: &Size, out: &mut impl Write) -> std::io::Result<()> {
    let mut table = Table::new([
        &load.to_string(),
        "µs per delivery",
        "of write(2)",
        "bytes per delivery",
        "ms, median",
        "ms, 99 %",
    ]);
    let (floor, others) = entrants.split_first().expect("the floor, and whom it is the floor of");
    let at_once = (process::connections() / load.connections()).saturating_sub(1).max(1);
    for group in others.chunks(at_once) {
        take_turns(load, &[&[*floor], group].concat(), size, &mut table).await?;
    }
    writeln!(out, "{table}")
}

async fn take_turns(load: &Load, entrants: &[Entrant], size: &Size, table: &mut Table<6>) -> std::io::Result<()> {
    let mut everybody = Vec::new();
    for entrant in entrants {
        everybody.push(Clients::connect(Contestant::start(*entrant, load)?, load).await?);
    }
    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); everybody.len()];
    // The first turn warms up.
    for nth in 0..=size.turns {
        for (clients, turns) in everybody.iter_mut().zip(&mut turns) {
            let turn = clients.turn(load, size.turn).await?;
            if nth > 0 {
                turns.push(turn);
            } else {
                clients.delays();
            }
        }
    }
    for (clients, own) in everybody.iter().zip(&turns) {
        let cost = median(own.iter().map(|turn| turn.cost).collect()) / 1000.0;
        let bytes = own.iter().map(|turn| turn.bytes).sum::<f64>() / own.len() as f64;
        let delay = |delay: Duration| format!("{:.1}", delay.as_secs_f64() * 1000.0);
        let [middle, most] = clients.delays().map_or([String::new(), String::new()], |delays| delays.map(delay));
        table.row([
            &clients.name(),
            &format!("{cost:.2}"),
            &format!("{:.2}", median_of_ratios(own, &turns[0])),
            &format!("{bytes:.1}"),
            &middle,
            &most,
        ]);
    }
    Ok(())
}

/// Resident bytes per connection that does nothing.
async fn weigh(connections: usize, entrants: &[Entrant], out: &mut impl Write) -> std::io::Result<()> {
    let load = Load { rooms: 1, members: connections, each: 1, per_second: 1 };
    let mut table = Table::new([&format!("{connections} idle connections"), "resident bytes each"]);
    for entrant in entrants.iter().filter(|entrant| !entrant.is_floor()) {
        let contestant = Contestant::start(*entrant, &load)?;
        let before = contestant.part.resident()?;
        let clients = Clients::connect(contestant, &load).await?;
        let each = clients.resident()?.saturating_sub(before) / connections as u64;
        table.row([&clients.name(), &each.to_string()]);
    }
    writeln!(out, "{table}")
}

fn median_of_ratios(own: &[Turn], floor: &[Turn]) -> f64 {
    median(own.iter().zip(floor).map(|(own, floor)| own.cost / floor.cost).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
