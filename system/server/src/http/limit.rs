//! How many plain HTTP requests an address may make: a fixed window per address, in bounded memory.
//!
//! The headers are those of draft-ietf-httpapi-ratelimit-headers-07. Exempt are the paths that machines poll, the
//! WebSocket path, which has limits of its own, and the files of the page: a visit costs one request, so that the
//! people of an office, who come from one address, are not shut out after ten of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use system_protocol::limits;
use tokio::time::Instant;

/// Addresses remembered at once. When more come within one window, the oldest windows are forgotten.
const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub(crate) struct HttpLimit {
    requests: u32,
    window: Duration,
    windows: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    used: u32,
}

/// What one request learns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    limit: u32,
    remaining: u32,
    reset: Duration,
    window: Duration,
}

impl HttpLimit {
    pub(crate) fn new(requests: u32) -> Self {
        HttpLimit { requests, window: limits::HTTP_WINDOW, windows: Mutex::default() }
    }

    pub(super) fn admit(&self, now: Instant, address: IpAddr) -> Verdict {
        let mut windows = self.windows.lock().expect("no panic while it is held");
        if windows.len() >= REMEMBERED {
            forget(&mut windows, now, self.window);
        }
        let window = windows.entry(network_of(address)).or_insert(Window { began: now, used: 0 });
        if now.duration_since(window.began) >= self.window {
            *window = Window { began: now, used: 0 };
        }
        window.used = window.used.saturating_add(1);
        Verdict {
            allowed: window.used <= self.requests,
            limit: self.requests,
            remaining: self.requests.saturating_sub(window.used),
            reset: (window.began + self.window).duration_since(now),
            window: self.window,
        }
    }
}

fn forget(windows: &mut HashMap<IpAddr, Window>, now: Instant, length: Duration) {
    windows.retain(|_, window| now.duration_since(window.began) < length);
    if windows.len() < REMEMBERED {
        return;
    }
    let mut began: Vec<_> = windows.values().map(|window| window.began).collect();
    let (_, median, _) = began.select_nth_unstable(REMEMBERED / 2);
    let median = *median;
    windows.retain(|_, window| window.began > median);
}

/// One customer of IPv6 has a /64 at least.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Verdict {
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        // Rounded up: who comes back after that many seconds is let in.
        let reset = self.reset.as_millis().div_ceil(1000);
        let mut put = |name: &'static str, value: String| {
            let value = HeaderValue::from_str(&value).expect("digits and ASCII punctuation");
            headers.insert(HeaderName::from_static(name), value);
        };
        put("ratelimit-policy", format!("{};w={}", self.limit, self.window.as_secs()));
        put("ratelimit", format!("limit={}, remaining={}, reset={reset}", self.limit, self.remaining));
        put("ratelimit-limit", self.limit.to_string());
        put("ratelimit-remaining", self.remaining.to_string());
        put("ratelimit-reset", reset.to_string());
        if !self.allowed {
            put("retry-after", reset.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_holds_so_many_requests_and_then_begins_anew() {
        let (limit, start) = (HttpLimit::new(2), Instant::now());
        let second = Duration::from_secs(1);
        assert!(limit.admit(start, ip("1.1.1.1")).allowed && limit.admit(start, ip("1.1.1.1")).allowed);
        let refused = limit.admit(start + second, ip("1.1.1.1"));
        assert!(!refused.allowed && limit.admit(start, ip("2.2.2.2")).allowed);
        assert_eq!((refused.remaining, refused.reset), (0, limits::HTTP_WINDOW.saturating_sub(second)));
        assert!(limit.admit(start + limits::HTTP_WINDOW, ip("1.1.1.1")).allowed);
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share() {
        let (limit, start) = (HttpLimit::new(1), Instant::now());
        assert!(limit.admit(start, ip("2001:db8::1")).allowed);
        assert!(!limit.admit(start, ip("2001:db8::2")).allowed);
        assert!(limit.admit(start, ip("2001:db8:0:1::1")).allowed);
    }

    #[test]
    fn memory_is_bounded() {
        let (limit, start) = (HttpLimit::new(1), Instant::now());
        for n in 0..3 * REMEMBERED as u32 {
            limit.admit(start + Duration::from_millis(u64::from(n)), IpAddr::from(n.to_be_bytes()));
        }
        assert!(limit.windows.lock().unwrap().len() <= REMEMBERED);
    }

    #[test]
    fn the_headers_say_what_is_left() {
        let limit = HttpLimit::new(1);
        limit.admit(Instant::now(), ip("1.1.1.1"));
        let mut headers = HeaderMap::new();
        limit.admit(Instant::now(), ip("1.1.1.1")).write(&mut headers);
        assert_eq!(headers["ratelimit-limit"], "1");
        assert_eq!(headers["ratelimit-remaining"], "0");
        assert_eq!(headers["ratelimit-policy"], "1;w=900");
        assert!(headers.contains_key("retry-after"));
    }
}
