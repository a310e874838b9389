//! The questions that a view asks each node, and how the three answers make one.

use std::collections::BTreeMap;

use super::{Directory, NodeView, Role, nodes};
use crate::{Server, resp::RespValue};

pub(super) const QUESTIONS: &[&[&str]] = &[&["CLUSTER", "NODES"], &["CLUSTER", "INFO"], &["INFO", "replication"]];

pub(super) fn read(answers: &[RespValue], directory: &Directory) -> Result<NodeView, String> {
    let texts: Vec<&str> = answers.iter().map(text).collect::<Result<_, _>>()?;
    let [nodes, cluster, replication] = texts.as_slice() else { return Err("answers are missing".to_owned()) };
    let nodes = nodes::read(nodes, directory)?;
    let (cluster, replication) = (fields(cluster), fields(replication));
    let me = nodes.peers.get(&nodes.myself).ok_or("its CLUSTER NODES leaves itself out")?;
    let is_primary = me.role == Role::Primary;
    let offset = if is_primary { "master_repl_offset" } else { "slave_repl_offset" };
    Ok(NodeView {
        id: me.id.clone(),
        role: me.role,
        slots: me.slots.clone(),
        config_epoch: me.config_epoch,
        current_epoch: number(&cluster, "cluster_current_epoch"),
        state_ok: cluster.get("cluster_state") == Some(&"ok"),
        link_up: is_primary || replication.get("master_link_status") == Some(&"up"),
        offset: number(&replication, offset),
        online: online(&replication, directory),
        peers: nodes.peers,
    })
}

fn text(answer: &RespValue) -> Result<&str, String> {
    match answer {
        RespValue::Text(text) => Ok(text),
        RespValue::Error(error) => Err(error.clone()),
        other => Err(format!("an answer that makes no sense: {other:?}")),
    }
}

/// `name:value` lines.
pub(crate) fn fields(info: &str) -> BTreeMap<&str, &str> {
    info.lines().filter_map(|line| line.trim_end().split_once(':')).collect()
}

fn number(fields: &BTreeMap<&str, &str>, name: &str) -> u64 {
    fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// `slave0:ip=…,port=…,state=online,offset=…,lag=…`
fn online(replication: &BTreeMap<&str, &str>, directory: &Directory) -> BTreeMap<Server, u64> {
    let replicas = replication
        .iter()
        .filter(|(name, _)| name.strip_prefix("slave").is_some_and(|rest| rest.parse::<u32>().is_ok()));
    let online = replicas.filter_map(|(_, value)| {
        let parts: BTreeMap<&str, &str> = value.split(',').filter_map(|part| part.split_once('=')).collect();
        let server = directory.named(&format!("{}:{}", parts.get("ip")?, parts.get("port")?))?;
        (parts.get("state") == Some(&"online")).then(|| (server, number(&parts, "offset")))
    });
    online.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replicas_that_are_online_count() {
        let announced = (1..=3).map(|number: u8| (([127, 64, 0, 100 + number], 1).into(), Server::Redis(number)));
        let directory = Directory { announced: announced.collect(), ..Directory::default() };
        let info = "role:master\r\nslave0:ip=127.64.0.102,port=1,state=online,offset=70,lag=0\r\n\
                    slave1:ip=127.64.0.103,port=1,state=wait_bgsave,offset=0,lag=0\r\nslave_repl_offset:9\r\n";
        assert_eq!(online(&fields(info), &directory), BTreeMap::from([(Server::Redis(2), 70)]));
    }

    #[test]
    fn an_error_is_the_reason_of_the_silence() {
        let loading = RespValue::Error("LOADING the dataset".to_owned());
        let read = read(&[loading.clone(), loading.clone(), loading], &Directory::default());
        assert_eq!(read.expect_err("no view"), "LOADING the dataset");
    }
}
