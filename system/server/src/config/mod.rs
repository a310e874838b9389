//! The node's settings: flags, each with an environment variable, checked before anything starts.
//!
//! This is the only place of `system/` that reads the environment. A wrong setting is one line that says where it
//! stands (the flag, or the variable when the value came from there) and what is wrong with it. Deliberately absent:
//! a configuration file.

mod args;
mod redis;
mod tls;
mod value;

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use rustls::ServerConfig;
use system_protocol::{MessageId, limits};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

pub use args::Args;
pub use redis::{Fence, RedisSettings};
pub use value::Network;
pub(crate) use value::is_place;

use crate::auth::Authenticator;
use crate::http::Origins;
use crate::reload::Watched;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);

/// Everything that a node needs to know to start.
#[derive(Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    pub node_id: String,
    pub delivery: Delivery,
    pub auth: Authenticator,
    /// The listener's certificate; without one it speaks plain HTTP.
    pub tls: Option<Arc<Watched<ServerConfig>>>,
    pub origins: Origins,
    pub trusted_proxies: Vec<Network>,
    /// Messages per second and socket.
    pub rate_limit: u32,
    /// Joins per second and socket, beyond twice as many at once as it may be in rooms.
    pub join_rate_limit: u32,
    /// Requests per quarter of an hour and address.
    pub http_rate_limit: u32,
    /// Of any kind.
    pub connections_per_address: usize,
    pub rooms_per_socket: usize,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    /// For each step to a session: TLS, the head of the request, CONNECT.
    pub handshake_timeout: Duration,
    pub history_window: Duration,
    /// Bytes that may wait for one socket.
    pub send_buffer: usize,
    /// Bytes of payload from which on a message is compressed; `None` is never.
    pub deflate_threshold: Option<usize>,
    pub drain_within: Duration,
    pub log: String,
    pub traces: Option<Traces>,
}

/// What stands behind an ack.
#[derive(Debug)]
pub enum Delivery {
    /// One node, nothing survives it.
    Memory,
    /// The durable log.
    Log(RedisSettings),
    /// The stock Redis adapter, at most once.
    PubSub(RedisSettings),
}

/// Where spans go, and how.
#[derive(Debug, Clone)]
pub struct Traces {
    pub endpoint: String,
    pub ratio: f64,
    pub delay: Duration,
    pub queue: usize,
}

/// Why the node does not start: one line.
#[derive(Debug, thiserror::Error)]
pub enum WrongSetting {
    #[error("{place}: {wrong}")]
    Value { place: String, wrong: String },
    #[error("{0}")]
    CommandLine(String),
    /// `--help` and `--version`: not wrong at all, and printed as they are.
    #[error("{0}")]
    Asked(String),
}

impl Settings {
    /// Reads the process's arguments and environment.
    pub fn from_process() -> Result<Settings, WrongSetting> {
        Settings::from_arguments(std::env::args_os())
    }

    pub fn from_arguments<A, I>(arguments: I) -> Result<Settings, WrongSetting>
    where
        I: IntoIterator<Item = A>,
        A: Into<std::ffi::OsString> + Clone,
    {
        let matches = Args::command().try_get_matches_from(arguments);
        let matches = matches.map_err(|e| unreadable(&e).unwrap_or_else(|| command_line(&e)))?;
        let args = Args::from_arg_matches(&matches).map_err(|e| command_line(&e))?;
        Reader { matches, command: Args::command() }.settings(&args)
    }

    /// What an operator should know before trusting this node, each a sentence.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if matches!(self.auth, Authenticator::None) {
            warnings.push("AUTHENTICATION IS OFF (--auth none): whoever connects chooses who they are".to_owned());
        }
        if self.origins.any() {
            warnings.push("any website may connect on behalf of its visitors (--cors-origin *)".to_owned());
        }
        match &self.delivery {
            Delivery::Memory => {
                warnings.push("the log is in memory: one node, and nothing survives its end".to_owned());
            }
            Delivery::Log(redis) => warnings.extend(redis.warnings()),
            Delivery::PubSub(_) => {
                warnings
                    .push("plain Pub/Sub (--delivery pubsub): messages are lost whenever Redis fails over".to_owned());
            }
        }
        warnings
    }
}

/// clap does not say where it found what is no UTF-8. Not repeated: it may be a secret in the wrong place.
fn unreadable(error: &clap::Error) -> Option<WrongSetting> {
    (error.kind() == ErrorKind::InvalidUtf8).then_some(())?;
    let command = Args::command();
    let is_none = |name: &&OsStr| std::env::var_os(name).is_some_and(|value| value.to_str().is_none());
    let variable = command.get_arguments().filter_map(Arg::get_env).find(is_none)?;
    Some(WrongSetting::Value { place: variable.to_string_lossy().into_owned(), wrong: "is not UTF-8".to_owned() })
}

/// clap speaks in paragraphs; the first one says what is wrong.
fn command_line(error: &clap::Error) -> WrongSetting {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return WrongSetting::Asked(error.render().to_string());
    }
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    WrongSetting::CommandLine(line.trim_start_matches("error: ").to_owned())
}

/// Knows where each value came from.
struct Reader {
    matches: ArgMatches,
    command: Command,
}

impl Reader {
    fn settings(&self, args: &Args) -> Result<Settings, WrongSetting> {
        let listen: SocketAddr = self.read("listen", &args.listen, |text| {
            text.parse().map_err(|_| format!("{text:?} is not an address with a port (like 127.0.0.1:3000)"))
        })?;
        let delivery = self.delivery(args)?;
        let auth = self.auth(args, &delivery, listen.ip())?;
        Ok(Settings {
            listen,
            delivery,
            auth,
            node_id: self.node_id(args)?,
            tls: self.certificate(args)?,
            origins: self.optional("cors_origin", args.cors_origin.as_deref(), Origins::parse)?.unwrap_or_default(),
            trusted_proxies: self
                .optional("trusted_proxies", args.trusted_proxies.as_deref(), |t| value::list(t, Network::parse))?
                .unwrap_or_default(),
            rate_limit: self.number("rate_limit", &args.rate_limit, 1..=1_000_000)?,
            join_rate_limit: self.number("join_rate_limit", &args.join_rate_limit, 1..=1_000_000)?,
            http_rate_limit: self.number("http_rate_limit", &args.http_rate_limit, 1..=1_000_000)?,
            connections_per_address: self.number(
                "connections_per_address",
                &args.connections_per_address,
                1..=1_000_000,
            )?,
            rooms_per_socket: self.number("rooms_per_socket", &args.rooms_per_socket, 1..=10_000)?,
            ping_interval: self.duration("ping_interval", &args.ping_interval, 100 * MILLISECOND..=DAY)?,
            ping_timeout: self.duration("ping_timeout", &args.ping_timeout, 100 * MILLISECOND..=DAY)?,
            handshake_timeout: self.duration("handshake_timeout", &args.handshake_timeout, 100 * MILLISECOND..=DAY)?,
            history_window: self.duration("history_window", &args.history_window, 1000 * MILLISECOND..=30 * DAY)?,
            send_buffer: self.number("send_buffer", &args.send_buffer, 65_536..=1_073_741_824)?,
            deflate_threshold: self.read("deflate_threshold", &args.deflate_threshold, deflate_threshold)?,
            drain_within: self.duration("drain_within", &args.drain_within, 100 * MILLISECOND..=DAY)?,
            log: self.read("log", &args.log, log_directives)?,
            traces: self.traces(args)?,
        })
    }

    fn node_id(&self, args: &Args) -> Result<String, WrongSetting> {
        let given = self.optional("node_id", args.node_id.as_deref(), |text| {
            MessageId::parse(text)
                .map(|id| id.to_string())
                .map_err(|_| format!("{text:?} is not 1 to 64 of A-Z a-z 0-9 . _ : -"))
        })?;
        Ok(given.unwrap_or_else(|| format!("chat-{}", &uuid::Uuid::now_v7().simple().to_string()[20..])))
    }

    fn delivery(&self, args: &Args) -> Result<Delivery, WrongSetting> {
        #[derive(Clone, Copy, PartialEq)]
        enum Kind {
            Log,
            PubSub,
            Memory,
        }
        const KINDS: [(&str, Kind); 3] = [("log", Kind::Log), ("pubsub", Kind::PubSub), ("memory", Kind::Memory)];
        let redis = self.redis(args)?;
        let asked = self.optional("delivery", args.delivery.as_deref(), |text| value::choice(text, &KINDS))?;
        match (asked, redis) {
            (None | Some(Kind::Log), Some(redis)) => Ok(Delivery::Log(redis)),
            (Some(Kind::PubSub), Some(redis)) if redis.tls.is_some() => {
                Err(self.wrong("delivery", "pubsub speaks redis:// only, not rediss://"))
            }
            (Some(Kind::PubSub), Some(redis)) if redis.fence == Fence::None => {
                Err(self.wrong("fence", "none means nothing with --delivery pubsub, which never fences"))
            }
            (Some(Kind::PubSub), Some(redis)) => Ok(Delivery::PubSub(redis)),
            (Some(Kind::Log | Kind::PubSub), None) => Err(self.wrong("delivery", "needs --redis (CHAT_REDIS_URLS)")),
            (Some(Kind::Memory), Some(_)) => Err(self.wrong("delivery", "memory does not go with --redis")),
            (None | Some(Kind::Memory), None) => Ok(Delivery::Memory),
        }
    }

    /// Without Redis, without a secret and on loopback nobody is in danger: `cargo run -p system-server` just works.
    fn auth(&self, args: &Args, delivery: &Delivery, listen: IpAddr) -> Result<Authenticator, WrongSetting> {
        let asked =
            self.optional("auth", args.auth.as_deref(), |text| value::choice(text, &[("jwt", true), ("none", false)]))?;
        let secret =
            self.optional("jwt_secret_file", args.jwt_secret_file.as_deref(), Authenticator::from_secret_file)?;
        let public = self.optional(
            "jwt_public_key_file",
            args.jwt_public_key_file.as_deref(),
            Authenticator::from_public_key_file,
        )?;
        match (asked, secret, public) {
            (_, Some(_), Some(_)) => Err(self.wrong("jwt_public_key_file", "does not go with --jwt-secret-file")),
            (Some(false), Some(_), None) => Err(self.wrong("auth", "none does not go with --jwt-secret-file")),
            (Some(false), None, Some(_)) => Err(self.wrong("auth", "none does not go with --jwt-public-key-file")),
            (Some(false), None, None) => Ok(Authenticator::None),
            (_, Some(jwt), None) | (_, None, Some(jwt)) => Ok(jwt),
            (None, None, None) if matches!(delivery, Delivery::Memory) && listen.is_loopback() => {
                Ok(Authenticator::None)
            }
            (_, None, None) => Err(self.wrong(
                "jwt_secret_file",
                "or --jwt-public-key-file is missing (CHAT_JWT_SECRET_FILE, CHAT_JWT_PUBLIC_KEY_FILE; or --auth none \
                 for a test)",
            )),
        }
    }

    fn traces(&self, args: &Args) -> Result<Option<Traces>, WrongSetting> {
        let ratio = self.read("otlp_ratio", &args.otlp_ratio, |text| value::number(text, &(0.0..=1.0)))?;
        let delay: u64 = self.number("otlp_delay", &args.otlp_delay, 1..=600_000)?;
        let queue = self.number("otlp_queue", &args.otlp_queue, 16..=1_000_000)?;
        let Some(endpoint) = args.otlp_endpoint.as_deref().filter(|e| !e.is_empty()) else { return Ok(None) };
        let endpoint = self.read("otlp_endpoint", endpoint, collector)?;
        Ok(Some(Traces { endpoint, ratio, delay: Duration::from_millis(delay), queue }))
    }

    fn read<T>(&self, id: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, WrongSetting> {
        parse(text).map_err(|wrong| self.wrong(id, &wrong))
    }

    fn optional<T>(
        &self,
        id: &str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, WrongSetting> {
        text.map(|text| self.read(id, text, parse)).transpose()
    }

    fn number<N>(&self, id: &str, text: &str, range: RangeInclusive<N>) -> Result<N, WrongSetting>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        self.read(id, text, |text| value::number(text, &range))
    }

    fn duration(&self, id: &str, text: &str, range: RangeInclusive<Duration>) -> Result<Duration, WrongSetting> {
        self.read(id, text, |text| value::duration(text, &range))
    }

    /// Names the variable when the value came from there, else the flag.
    fn wrong(&self, id: &str, wrong: &str) -> WrongSetting {
        let argument = self.command.get_arguments().find(|a| a.get_id() == id);
        let variable = argument.and_then(Arg::get_env).map(|v| v.to_string_lossy().into_owned());
        let flag = argument.and_then(Arg::get_long).unwrap_or(id);
        let place = match (self.matches.value_source(id), variable) {
            (Some(ValueSource::EnvVariable), Some(variable)) => variable,
            _ => format!("--{flag}"),
        };
        WrongSetting::Value { place, wrong: wrong.to_owned() }
    }
}

#[cfg(test)]
pub(crate) fn networks(text: &str) -> Vec<Network> {
    text.split(',').filter(|e| !e.is_empty()).map(|e| Network::parse(e).unwrap()).collect()
}

fn deflate_threshold(text: &str) -> Result<Option<usize>, String> {
    if text == "off" {
        return Ok(None);
    }
    value::number(text, &(0..=limits::PAYLOAD_BYTES)).map(Some).map_err(|wrong| format!("{wrong}, nor off"))
}

/// A word alone would be taken for a target, and everything else be silent.
fn log_directives(text: &str) -> Result<String, String> {
    let alone = |entry: &&str| !entry.contains('=') && entry.parse::<LevelFilter>().is_err();
    if let Some(entry) = text.split(',').map(str::trim).find(alone) {
        return Err(format!("{entry:?} is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL"));
    }
    let parsed = EnvFilter::builder().parse(text);
    parsed.map(|_| text.to_owned()).map_err(|error| format!("{text:?} is no list of log directives: {error}"))
}

/// A URL may hold a password, so that no error repeats it.
fn collector(text: &str) -> Result<String, String> {
    let uri = text.parse::<Uri>().ok();
    let is_one =
        |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(value::is_place);
    match uri.filter(is_one) {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => {
            Err(format!("{:?} is not a URL of a collector (like http://127.0.0.1:4318)", value::without_user(text)))
        }
    }
}

#[cfg(test)]
mod tests;
