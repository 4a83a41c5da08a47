//! What was done, written beside the capture, and the check that the capture holds all of it.

use super::recorder::Recording;
use super::service::Services;
use super::tenant::{CLIENT, CLIENT_V6, SERVER, SERVER_V6, TARGET, Tenant};
use super::topology::Mirrored;
use super::traffic::Phase;
use crate::Result;
use crate::capture_file::Mirror;
use serde_json::{Value, json};

/// The truth file; an error if the capture does not hold exactly what the kernel mirrored.
pub(super) fn assemble(
    tenants: &[Tenant; 2],
    phases: &[Phase],
    services: &Services,
    mirrored: &[Mirrored; 2],
    recording: &Recording,
) -> Result<Value> {
    let mut rows = Vec::new();
    let mut all = 0;
    for (index, (tenant, mirrored)) in tenants.iter().zip(mirrored).enumerate() {
        let recorded = recording.packets_of(Mirror {
            source: tenant.outer,
            vni: tenant.vni,
        });
        let expected = mirrored.ingress + mirrored.egress;
        if recorded != expected {
            return Err(format!(
                "tenant {}: the kernel mirrored {expected} frames, {recorded} were recorded",
                tenant.name
            )
            .into());
        }
        all += recorded;
        rows.push(json!({
            "tenant": tenant.name,
            "outer_source": tenant.outer.to_string(),
            "vni": tenant.vni,
            "packets": recorded,
            "ingress_packets": mirrored.ingress,
            "egress_packets": mirrored.egress,
            "http_requests": services.http_requests(index)?,
            "dns_questions": services.dns_questions(index)?,
            "did": did(phases, index),
        }));
    }
    if all != recording.packets() {
        return Err("the recording holds packets of neither tenant".into());
    }
    Ok(json!({
        "about": "Counts by the kernel's mirrors and by the servers' own logs, not by vxscope.",
        "target": TARGET,
        "client": [CLIENT, CLIENT_V6],
        "server": [SERVER, SERVER_V6],
        "packets": all,
        "tenants": rows,
    }))
}

fn did(phases: &[Phase], tenant: usize) -> Vec<Value> {
    let of_tenant = phases
        .iter()
        .filter(|phase| phase.tenant == tenant && !phase.runs.is_empty());
    of_tenant
        .map(|phase| {
            let commands: Vec<&str> = phase.runs.iter().map(|(command, _)| command.as_str()).collect();
            let results: Vec<&str> = phase.runs.iter().map(|(_, result)| result.as_str()).collect();
            json!({"what": phase.name, "runs": phase.runs.len(), "first_command": commands[0], "results": results})
        })
        .collect()
}
