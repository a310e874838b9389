//! What a drill in containers would use, for its plan: the Docker engine, and an image for each kind of server.

use chaos_cluster::{ContainersOutlook, EngineChoice, ImageOutlook, NodeOutlook};
use chaos_drill::System;

use crate::environment::Environment;

/// Lines of a plan, and what is missing, a sentence each.
pub(crate) async fn outlook(choice: EngineChoice, system: &System, environment: &Environment) -> (String, Vec<String>) {
    let (docker, redis, chat) = match environment.outlook(choice, system).await {
        Ok(ContainersOutlook { docker, redis, chat }) => (docker, redis, chat),
        Err(error) => return (String::new(), vec![error.to_string()]),
    };
    let mut missing = Vec::new();
    let redis = match (image(&redis), environment.names_redis_image() || redis.is_here) {
        (line, true) => line,
        (line, false) => {
            let packed = match environment.engine_here(choice) {
                Ok(Some(engine)) => format!("{} {} of this machine", engine.kind, engine.version),
                Ok(None) => format!("{choice}, to be fetched,"),
                Err(error) => error.to_string(),
            };
            format!("{line}, or, where no registry has it, {packed} is packed")
        }
    };
    let chat = match chat.as_ref().map(image) {
        Some(line) => line,
        None => match environment.chat_node_outlook() {
            Ok(NodeOutlook::Here(program)) => format!("{}, packed", program.display()),
            Ok(NodeOutlook::ToBuild(program)) => {
                format!("{}, built from the workspace first, packed", program.display())
            }
            Err(error) => {
                missing.push(error.to_string());
                "a program of this machine, packed".to_owned()
            }
        },
    };
    let lines =
        [("containers", format!("of {docker}")), ("", format!("Redis: {redis}")), ("", format!("chat: {chat}"))];
    (lines.map(|(name, line)| format!("  {name:13} {line}\n")).concat(), missing)
}

fn image(ImageOutlook { name, is_here }: &ImageOutlook) -> String {
    format!("the image {name}, {}", if *is_here { "here" } else { "to be pulled" })
}
