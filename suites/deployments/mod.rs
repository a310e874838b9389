//! What is deployed is what is tested: the experiments for Chaos Mesh do what the shipped drills do, dashboards and
//! alerts ask for metrics that a node has. That the files work at all is shown by `just deployments`.

mod chaos_mesh;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A panel or an alert on a metric that was renamed shows nothing, for ever, and all seems well.
#[test]
fn dashboards_and_alerts_ask_for_metrics_that_a_node_has() {
    let names = read(&fixtures().join("../system/server/src/telemetry/names.rs"));
    for file in ["grafana/chat.json", "prometheus/alerts.yml", "prometheus/alerts.test.yml"] {
        let asked = metrics(&read(&fixtures().join(file)));
        assert!(asked.len() >= 10, "{file} asks for {} metrics only: {asked:?}", asked.len());
        let unknown: Vec<_> = asked.iter().filter(|name| !names.contains(&format!("= \"{name}\","))).collect();
        assert!(unknown.is_empty(), "{file} asks for metrics that no node has: {unknown:?}");
    }
}

/// A job by another name, and `up{job="chat"} == 0` is true of nobody while all nodes are down.
#[test]
fn the_job_that_dashboards_and_alerts_ask_for_is_what_prometheus_is_told_to_scrape() {
    let told = |file: &str, before: &str, end: char| {
        let text = read(&fixtures().join(file)).replace('\\', "");
        let after = text.split(before).skip(1);
        after.filter_map(|rest| Some(rest.split_once(end)?.0.to_owned())).collect::<BTreeSet<_>>()
    };
    let asked = ["grafana/chat.json", "prometheus/alerts.yml"].map(|file| told(file, "job=\"", '"'));
    let scraped = ["compose/prometheus.yml", "kubernetes/prometheus.yml"];
    let scraped = scraped.map(|file| told(&format!("deployments/{file}"), "job_name: ", '\n'));
    let job = || BTreeSet::from(["chat".to_owned()]);
    assert_eq!((asked, scraped), ([job(), job()], [job(), job()]));

    // In Kubernetes its targets are pods, found by what they are called there.
    let targets = told("deployments/kubernetes/prometheus.yml", "regex: ", '\n');
    assert!(targets.contains("chat;http"), "{targets:?}");
    let pods = read(&fixtures().join("deployments/kubernetes/chat.yaml"));
    for name in ["    metadata:\n      labels: { app: chat }\n", "- { name: http, containerPort: 3000 }\n"] {
        assert!(pods.contains(name), "no pod has {name:?}");
    }
    let namespace = told("deployments/kubernetes/kustomization.yaml", "namespace: ", '\n');
    let looked_in = told("deployments/kubernetes/prometheus.yml", "namespaces: { names: [", ']');
    assert_eq!(looked_in, namespace);
}

/// Words that begin as our metrics do, without what Prometheus appends to a histogram's.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter(|word| word.starts_with("chat_"));
    metrics.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}
