//! `loods storage doctor`: why a claim has no volume, in words.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;

use super::on_one_thread;
use crate::cli::USAGE;
use crate::k8s::objects::{ClaimKey, Claims, Volumes};
use crate::k8s::volumes::Calls;
use crate::k8s::{Client, connect};
use crate::storage::class::judge_secret;
use crate::storage::doctor::{Doctor, Options, Report};
use crate::storage::heketi::client::Trust;
use crate::storage::provision::{FINALIZER, MARK};
use crate::storage::{DRIVER, IN_TREE};

/// Say in words why a PersistentVolumeClaim is Pending.
///
/// Looks at the claim, its StorageClass, the Secret, the Heketi or manager that
/// the class names, its room, and the Events. Reads with your rights, and
/// changes nothing.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 = nothing is wrong, 1 = something is, 2 = wrong command line, or the API server does not answer"
)]
pub struct Args {
    /// The claim, as NAME or NAMESPACE/NAME; without one, every claim that has no volume
    #[arg(value_name = "CLAIM")]
    claim: Option<String>,
    /// Namespace of the claim
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    /// How to reach the API server; else $KUBECONFIG, ~/.kube/config or the service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The manager that the controller was told of, for classes without resturl
    #[arg(long, value_name = "URL")]
    manager: Option<String>,
    /// Certificates that a Heketi with https may be signed by, in PEM; else those of this host
    #[arg(long, value_name = "FILE")]
    heketi_ca: Option<PathBuf>,
}

/// Asks, prints.
pub fn run(args: &Args) -> ExitCode {
    let usage = |error: &dyn std::fmt::Display| {
        eprintln!("error: {error}");
        ExitCode::from(USAGE)
    };
    let claim = match args
        .claim
        .as_deref()
        .map(|text| key_of(text, &args.namespace))
        .transpose()
    {
        Ok(claim) => claim,
        Err(error) => return usage(&error),
    };
    let trust = match args.heketi_ca.as_deref().map(Trust::file).transpose() {
        Ok(trust) => trust.unwrap_or_default(),
        Err(error) => return usage(&error),
    };
    let options = Options {
        provisioners: vec![DRIVER.into(), IN_TREE.into()],
        manager: args.manager.as_deref().map(Into::into),
        trust,
    };
    let reports = on_one_thread(async {
        let connected = connect(args.kubeconfig.as_deref(), "doctor").await;
        let client = connected.map_err(|error| error.to_string())?;
        look(client, options, claim).await
    });
    match reports.unwrap_or_else(Err) {
        Err(error) => usage(&error),
        Ok(reports) => {
            if reports.is_empty() {
                println!("every claim has its volume");
            }
            for report in &reports {
                print!("{report}");
            }
            let wrong = reports.iter().any(Report::is_wrong);
            ExitCode::from(u8::from(wrong))
        }
    }
}

async fn look(
    client: Client,
    options: Options,
    claim: Option<ClaimKey>,
) -> Result<Vec<Report>, String> {
    let calls = Calls {
        client,
        claims: Claims {
            driver: DRIVER,
            mark: MARK,
        },
        volumes: Volumes {
            driver: DRIVER,
            finalizer: FINALIZER,
        },
    };
    let doctor = Doctor::new(calls, options);
    let text = |error: crate::k8s::ApiError| error.to_string();
    match claim {
        None => doctor.pending().await.map_err(text),
        Some(key) => match doctor.claim(&key).await.map_err(text)? {
            Some(report) => Ok(vec![report]),
            None => Err(format!("there is no PersistentVolumeClaim {key}")),
        },
    }
}

fn key_of(text: &str, namespace: &str) -> Result<ClaimKey, String> {
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    // The rule for names is the same for all objects.
    judge_secret(namespace, name)
        .map_err(|_| format!("{text:?} can be no claim: write NAME or NAMESPACE/NAME"))?;
    Ok(ClaimKey {
        namespace: namespace.into(),
        name: name.into(),
    })
}
