//! What one delivery costs a server, beside what the kernel alone asks for it.
//!
//! Every contestant is a process of its own on one core, the clients are this process on another. All are connected at
//! once and take turns under the same load, so that a machine whose speed wanders treats them alike; what is told is
//! the median of their ratios to the floor of the same turn.

mod clients;
mod contestants;
mod floor;
mod load;
mod process;

use std::io::Write;
use std::time::Duration;

use clients::{Clients, Delays};
use contestants::Contestant;
pub use load::Load;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub loads: &'static [Load],
    pub turns: usize,
    pub turn: Duration,
    /// Connections whose memory is weighed.
    pub idle: usize,
}

pub const FULL: Size = Size { loads: &load::FULL, turns: 5, turn: Duration::from_secs(3), idle: 8000 };
/// As small as it can be and still show that everything works.
pub const SMOKE: Size = Size { loads: &load::SMOKE, turns: 1, turn: Duration::from_millis(300), idle: 50 };

/// What the clients' core is; the other one is the servers'.
const CLIENTS: usize = 1;
const SERVERS: usize = 0;

/// The part that this process plays: `--part NAME` for a contestant, the whole comparison otherwise.
pub fn main(size: Size, out: &mut impl Write) -> std::io::Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--part");
    if let (Some(_), Some(part)) = (arguments.next(), arguments.next()) {
        process::pin(SERVERS);
        return contestants::play(&part);
    }
    process::pin(CLIENTS);
    process::allow_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for load in size.loads {
            compare(load, size, out).await?;
        }
        weigh(size.idle, out).await
    })
}

/// One load: everybody in turn.
async fn compare(load: &Load, size: Size, out: &mut impl Write) -> std::io::Result<()> {
    let mut everybody = Vec::new();
    for contestant in Contestant::all(load) {
        everybody.push(Clients::connect(contestant, load).await?);
    }
    let mut costs = vec![Vec::new(); everybody.len()];
    // The first turn warms up.
    for turn in 0..=size.turns {
        for (clients, costs) in everybody.iter_mut().zip(&mut costs) {
            let cost = clients.turn(load, size.turn).await?;
            if turn > 0 {
                costs.push(cost);
            } else {
                clients.delays();
            }
        }
    }
    writeln!(out, "{load}")?;
    for (clients, own) in everybody.iter().zip(&costs) {
        let ratios = own.iter().zip(&costs[0]).map(|(own, floor)| own / floor).collect();
        let (micros, ratio) = (median(own.clone()) / 1000.0, median(ratios));
        write!(out, "  {:10} {micros:6.2} us per delivery, {ratio:.2} of the floor", clients.name())?;
        match clients.delays() {
            Some(Delays { median, most }) => {
                let [median, most] = [median, most].map(|micros| micros as f64 / 1000.0);
                writeln!(out, "; said and read within {median:.1} ms at the median, {most:.1} ms for 99 of 100")?;
            }
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// Resident bytes per connection that does nothing.
async fn weigh(connections: usize, out: &mut impl Write) -> std::io::Result<()> {
    let load = Load { rooms: 1, members: connections, per_second: 1 };
    writeln!(out, "{connections} idle connections")?;
    for contestant in Contestant::all(&load).into_iter().filter(|contestant| !contestant.is_floor()) {
        let before = contestant.resident()?;
        let clients = Clients::connect(contestant, &load).await?;
        let each = clients.resident()?.saturating_sub(before) / connections as u64;
        writeln!(out, "  {:10} {each} resident bytes each", clients.name())?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
