//! `--deployment FILE`: a system that runs already, read from its file and looked at.

use chaos_cluster::{Deployment, Found};
use chaos_drill::{Mistakes, load_deployment};

use crate::environment::Environment;

pub(crate) async fn look(file: &str, environment: &Environment) -> Result<(Deployment, Found), Mistakes> {
    let deployment = load_deployment(file)?;
    match deployment.look(Some(environment.search_path())).await {
        Ok(found) => Ok((deployment, found)),
        Err(wrong) => Err(Mistakes::unfit(file, wrong)),
    }
}
