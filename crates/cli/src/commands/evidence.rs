//! `keepwatch evidence`

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwatch_core::events::{BundleReport, extract_bundle, verify_bundle};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::stores::describe;

/// What can be done with a bundle, without the store that it came from.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Check that nothing in a bundle was changed
    Verify(BundleArgs),
    /// Check a bundle and write what is in it to a folder
    Extract(ExtractArgs),
}

/// Which bundle.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The public key of the store, as known from elsewhere: 64 hexadecimal digits
    #[arg(long, value_name = "KEY", value_parser = signer)]
    signer: Option<[u8; 32]>,
}

/// Which bundle, and where to.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    #[command(flatten)]
    bundle: BundleArgs,
    /// The folder, made if need be
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
}

fn signer(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err("it is not 64 hexadecimal digits".to_owned()),
    }
}

/// Runs one of them.
pub fn run(command: &EvidenceCommand, context: &mut Context) -> Outcome {
    let open = |args: &BundleArgs| {
        let file = File::open(&args.bundle).map_err(Failure::file("open", &args.bundle))?;
        Ok::<_, Failure>(BufReader::new(file))
    };
    let (report, known) = match command {
        EvidenceCommand::Verify(args) => (
            verify_bundle(open(args)?, args.signer)?,
            args.signer.is_some(),
        ),
        EvidenceCommand::Extract(args) => {
            let bundle = open(&args.bundle)?;
            let report = extract_bundle(bundle, args.bundle.signer, &args.target)?;
            (report, args.bundle.signer.is_some())
        }
    };
    render(&report, known, context)?;
    Ok(Code::Ok)
}

fn render(report: &BundleReport, known: bool, context: &mut Context) -> Result<(), Failure> {
    if context.out.json {
        context.out.json(report)?;
        return Ok(());
    }
    let parts: Vec<String> = report
        .parts
        .iter()
        .map(|part| part.kind.file_name().to_owned())
        .collect();
    context.out.facts(&[
        ("event", describe(&report.event)),
        ("files", parts.join(", ")),
        ("record", report.seq.to_string()),
        ("signed at", report.signed_at.to_string()),
        ("signed by", hex::encode(report.signer)),
        ("result", "nothing was changed".to_owned()),
    ])?;
    if !known {
        context.out.note(
            "Whose key signed it is known only when the key is given with --signer, from elsewhere.",
        );
    }
    Ok(())
}
