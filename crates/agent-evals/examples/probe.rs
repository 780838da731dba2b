//! Says whether agents can be kept in a sandbox on this machine, and what to do if not.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

#[cfg(target_os = "linux")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    use agent_evals::sandbox::{SandboxConfig, probe};

    match probe(&SandboxConfig::default()).await {
        Ok(found) if found.is_whole() => println!("sandbox: all layers are there"),
        Ok(found) => {
            println!("sandbox: not whole here, its tests do nothing");
            for (layer, remedy) in found.missing {
                println!("  {}: {remedy}", layer.name());
            }
        }
        Err(error) => println!("sandbox: none here, its tests do nothing: {error}"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("sandbox: there is one on Linux alone");
}
