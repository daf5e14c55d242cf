//! `lagwatch demo`: everything in one process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::args::RealClusterArgs;
use super::exit::CommandResult;
use super::print::print;
use crate::app::config::schema::LogFile;
use crate::app::config::{ConfigSources, ListenAddress, Overrides, parse_flag};
use crate::app::demo::{Demo, DemoCluster, Port};
use crate::app::logging;
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
Needs no network and no installed service. With --bootstrap-server it plays on a real cluster, where it writes to the
topics task-created and task-created.dlq.";

/// Show everything in one process: a Kafka cluster, a producer, consumers, lag that grows and drains
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DemoArgs {
    /// Where to listen [default: :9308, or a free port if that one is taken]
    #[arg(
        long = "web.listen-address",
        value_name = "HOST:PORT",
        env = "LAGWATCH_WEB_LISTEN_ADDRESS",
        hide_env = true
    )]
    listen_address: Option<ListenAddress>,
    /// TLS, basic auth and headers, in the form that Prometheus exporters share
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        env = "LAGWATCH_WEB_CONFIG_FILE",
        hide_env = true
    )]
    config_file: Option<PathBuf>,
    /// End after this long
    #[arg(long, value_name = "DURATION", value_parser = parse_flag::<Duration>)]
    duration: Option<Duration>,
    #[command(flatten)]
    cluster: RealClusterArgs,
}

/// Runs the command.
pub(super) async fn run(args: DemoArgs, log: LogFile) -> CommandResult {
    let DemoArgs {
        cluster,
        listen_address,
        config_file,
        duration,
    } = args;
    let over = cluster.over();
    let is_real = over.is_some();
    let sources = ConfigSources {
        file: None,
        overrides: Overrides {
            cluster: over.unwrap_or_default(),
            log,
            ..Overrides::default()
        },
    };
    let (cluster, log) = if is_real {
        let config = sources.load()?;
        let connection = config.only_cluster()?.connection.clone();
        (DemoCluster::Real(connection), config.log)
    } else {
        (DemoCluster::Embedded, sources.load_log()?)
    };
    logging::install(&log)?;
    let mut signals = Signals::catch()
        .map_err(anyhow::Error::from)?
        .with_end_after(duration);
    let port = listen_address.map_or(Port::Any, Port::Exactly);
    let demo = Demo::set_up(
        cluster,
        port,
        config_file.filter(|path| !path.as_os_str().is_empty()),
    )
    .await?;
    print(&banner(&demo))?;
    demo.play(&mut signals).await?;
    Ok(ExitCode::SUCCESS)
}

fn banner(demo: &Demo) -> String {
    let servers = demo.bootstrap_servers();
    let topic = demo.topic();
    let url = demo.url().unwrap_or_default();
    let note = if demo.port_was_taken() {
        "  (port 9308 is taken)"
    } else {
        ""
    };
    format!(
        "\
Kafka    {servers}
Page     {url}/{note}
Metrics  {url}/metrics
Groups   {url}/api/v1/groups
Table    lagwatch describe --bootstrap-server {servers} --topic {topic} --group task-notification-service

Every minute: a wave of tasks makes lag grow, a third member joins, the lag drains, the member leaves; task-analytics
hangs and recovers; tasks that nobody can read go to {topic}.dlq. Ctrl-C ends it.

"
    )
}
