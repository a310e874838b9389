//! A run's private network, on a subnet that the engine finds free.

use std::net::Ipv4Addr;

use bollard::{
    Docker,
    errors::Error,
    models::{Ipam, IpamConfig, NetworkCreateRequest},
};

use super::{labels, sentence};
use crate::ClusterError;

const TRIES: usize = 5;

pub(crate) struct Network {
    pub(crate) name: String,
    /// This machine's address on it.
    pub(crate) gateway: Ipv4Addr,
}

impl Network {
    /// The engine gives fixed addresses only on a subnet that it was told. So it is asked for any, and told to take that.
    pub(super) async fn create(docker: &Docker, run: &str) -> Result<Network, ClusterError> {
        let mut seen = String::new();
        for _ in 0..TRIES {
            match settle(docker, run).await {
                Ok(gateway) => return Ok(Network { name: run.to_owned(), gateway }),
                // Somebody else took it meanwhile.
                Err(error) => seen = sentence(&error),
            }
        }
        Err(ClusterError::Ground(format!("a private network for the containers: {seen}")))
    }
}

async fn settle(docker: &Docker, run: &str) -> Result<Ipv4Addr, Error> {
    create(docker, run, None).await?;
    let any = docker.inspect_network(run, None).await;
    docker.remove_network(run).await?;
    let config = any?.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let found = config.into_iter().find_map(|config| Some((config.subnet?, config.gateway?.parse::<Ipv4Addr>().ok()?)));
    let Some((subnet, gateway)) = found else {
        return Err(Error::DockerResponseServerError { status_code: 500, message: "it has no IPv4 subnet".to_owned() });
    };
    create(
        docker,
        run,
        Some(IpamConfig { subnet: Some(subnet), gateway: Some(gateway.to_string()), ..Default::default() }),
    )
    .await?;
    Ok(gateway)
}

async fn create(docker: &Docker, run: &str, told: Option<IpamConfig>) -> Result<(), Error> {
    let request = NetworkCreateRequest {
        name: run.to_owned(),
        labels: Some(labels(run)),
        ipam: told.map(|config| Ipam { config: Some(vec![config]), ..Default::default() }),
        ..Default::default()
    };
    docker.create_network(request).await.map(drop)
}
