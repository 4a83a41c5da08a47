"""Reads one of our outputs with somebody else's program and prints what it found, as JSON."""

import json
import sys


def conn(path):
    from parsezeeklogs import ParseZeekLogs

    rows = [json.loads(line) for line in ParseZeekLogs(path, output_format="json", safe_headers=False)]
    packets = sum(int(row["orig_pkts"]) + int(row["resp_pkts"]) for row in rows)
    octets = sum(int(row["orig_ip_bytes"]) + int(row["resp_ip_bytes"]) for row in rows)
    return {"records": len(rows), "packets": packets, "ip_bytes": octets, "vnis": len({int(row["vni"]) for row in rows})}


def identities(rows):
    """Who the sources are to AWS, each once: interface, instance, VPC, account."""
    return sorted({tuple(row) for row in rows if any(row)})


def duck(query):
    import duckdb

    return [int(value) for value in duckdb.sql(query).fetchone()]


def conn_json(path):
    records, packets, octets, vnis = duck(
        "select count(*), sum(orig_pkts + resp_pkts), sum(orig_ip_bytes + resp_ip_bytes),"
        f" count(distinct vni) from read_json_auto('{path}')"
    )
    return {"records": records, "packets": packets, "ip_bytes": octets, "vnis": vnis}


def eve(path):
    records, packets, octets, vnis = duck(
        "select count(*), sum(flow.pkts_toserver + flow.pkts_toclient),"
        " sum(flow.bytes_toserver + flow.bytes_toclient), count(distinct vni)"
        f" from read_json_auto('{path}') where event_type = 'flow'"
    )
    found = {"records": records, "packets": packets, "bytes": octets, "vnis": vnis}
    if '"aws"' in open(path).readline():
        import duckdb

        columns = "aws.interface_id, aws.instance_id, aws.vpc_id, aws.account_id"
        rows = duckdb.sql(f"select distinct {columns} from read_json_auto('{path}')").fetchall()
        found["identities"] = identities(rows)
    return found


def netflow_eve(path):
    records, packets, octets, vnis = duck(
        "select count(distinct flow_id), sum(netflow.pkts), sum(netflow.bytes), count(distinct vni)"
        f" from read_json_auto('{path}') where event_type = 'netflow'"
    )
    return {"records": records, "packets": packets, "bytes": octets, "vnis": vnis}


def vpc_flow_logs(path):
    from flowlogs_reader import FlowRecord

    lines = open(path).read().splitlines()
    names = [name.replace("-", "_") for name in lines[0].split()]
    rows = [FlowRecord(dict(zip(names, line.split()))) for line in lines[1:]]
    assert all(row.action == "ACCEPT" and row.log_status == "OK" for row in rows)
    return {
        "packets": sum(row.packets for row in rows),
        "ip_bytes": sum(row.bytes for row in rows),
        "identities": identities((row.interface_id, row.instance_id, row.vpc_id, row.account_id) for row in rows),
    }


def ocsf(path):
    import jsonschema
    from ocsf_json_schema import get_ocsf_schema
    from ocsf_json_schema import OcsfJsonSchemaEmbedded

    schemas, validators = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0")), {}

    def validator(profiles):
        if profiles not in validators:
            schema = schemas.get_class_schema(class_name="network_activity", profiles=list(profiles))
            validators[profiles] = jsonschema.Draft202012Validator(schema)
        return validators[profiles]

    rows = [json.loads(line) for line in open(path)]
    for row in rows:
        validator(tuple(row["metadata"].get("profiles", []))).validate(row)
    ends = [(row, row[end]) for row in rows for end in ("src_endpoint", "dst_endpoint") if "interface_uid" in row[end]]
    return {
        "identities": identities(
            (end["interface_uid"], end["instance_uid"], end["vpc_uid"], row["cloud"]["account"]["uid"])
            for row, end in ends
        ),
        "records": len(rows),
        "packets": sum(row["traffic"]["packets"] for row in rows),
        "bytes": sum(row["traffic"]["bytes"] for row in rows),
        "vnis": len({row["unmapped"]["vni"] for row in rows}),
    }


READERS = {
    "eve.json": eve,
    "conn.log": conn,
    "conn.json": conn_json,
    "netflow.json": netflow_eve,
    "vpc-flow-logs.log": vpc_flow_logs,
    "ocsf.json": ocsf,
}

if __name__ == "__main__":
    folder, name = sys.argv[1:]
    print(json.dumps(READERS[name](f"{folder}/{name}")))
