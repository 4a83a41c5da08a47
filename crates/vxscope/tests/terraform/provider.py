"""An AWS provider that knows what may be written and asks nobody: Terraform's own protocol, so
that `terraform validate` and `terraform plan` judge a module without an account."""

import json
import os
from concurrent import futures

import grpc
import msgpack
import tfplugin5_pb2 as wire
import tfplugin5_pb2_grpc as rpc

UNKNOWN = msgpack.ExtType(0, b"\0")
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
EMPTY = {"string": "what-aws-says", "number": 0, "bool": False}


def schema(block):
    attributes = [
        wire.Schema.Attribute(name=name, type=json.dumps(one["type"]).encode(),
                              required=one["required"], optional=one["optional"],
                              computed=one["computed"])
        for name, one in block["attributes"].items()]
    blocks = [
        wire.Schema.NestedBlock(
            type_name=name, block=schema(one), nesting=NESTING[one["nesting"]],
            min_items=int(one["required"] and one["nesting"] in ("list", "set")),
            max_items=one["most"])
        for name, one in block["blocks"].items()]
    return wire.Schema.Block(attributes=attributes, block_types=blocks)


def read(value):
    return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)


def written(value):
    return wire.DynamicValue(msgpack=msgpack.packb(value))


def fill(block, value, known):
    """What AWS decides: unknown before it is made, anything of its type where it is there."""
    for name, one in block["attributes"].items():
        if one["computed"] and value.get(name) is None:
            simple = one["type"] if isinstance(one["type"], str) else one["type"][0]
            value[name] = EMPTY.get(simple, {} if simple == "map" else []) if known else UNKNOWN
    for name, one in block["blocks"].items():
        inner = value.get(name) or []
        for part in [inner] if isinstance(inner, dict) else inner:
            fill(one, part, known)
    return value


class Provider(rpc.ProviderServicer):
    def __init__(self, schemas):
        self.schemas = schemas

    def GetSchema(self, _request, _context):
        kinds = {kind: {name: wire.Schema(block=schema(one)) for name, one in known.items()}
                 for kind, known in self.schemas.items()}
        return wire.GetProviderSchema.Response(
            provider=wire.Schema(block=wire.Schema.Block()),
            resource_schemas=kinds["resource"], data_source_schemas=kinds["data"])

    def PrepareProviderConfig(self, request, _context):
        return wire.PrepareProviderConfig.Response(prepared_config=request.config)

    def ValidateResourceTypeConfig(self, _request, _context):
        return wire.ValidateResourceTypeConfig.Response()

    ValidateDataSourceConfig = ValidateResourceTypeConfig

    def Configure(self, _request, _context):
        return wire.Configure.Response()

    def ReadDataSource(self, request, _context):
        state = fill(self.schemas["data"][request.type_name], read(request.config), True)
        return wire.ReadDataSource.Response(state=written(state))

    def PlanResourceChange(self, request, _context):
        state = read(request.proposed_new_state)
        state = fill(self.schemas["resource"][request.type_name], state, False)
        return wire.PlanResourceChange.Response(
            planned_state=written(state), legacy_type_system=True)

    def Stop(self, _request, _context):
        return wire.Stop.Response()


def serve(schemas):
    """Begins, and says what TF_REATTACH_PROVIDERS has to be."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    rpc.add_ProviderServicer_to_server(Provider(schemas), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    here = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"}}
    return server, json.dumps({"registry.terraform.io/hashicorp/aws": here})
