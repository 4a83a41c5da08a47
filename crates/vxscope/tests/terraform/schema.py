"""The schema of the AWS provider, out of bindings that were generated from it: the npm package
@cdktf/provider-aws, whose source maps hold the types, flags and blocks of each resource."""

import base64
import json
import re

CLASS = re.compile(r"^export class (\w+) extends ", re.M)
FLAGS = re.compile(r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n([^\n]*\n[^\n]*)")
FUNCTION = re.compile(r"export function (\w+)ToHclTerraform\(struct\?: [^\n]*\n(.*?)\n}\n", re.S)
MEMBER = re.compile(
    r'^ +(\w+): \{\n +value: ([^\n]*)\n +isBlock: (\w+),\n +type: "([^"]*)",\n'
    r' +storageClassType: "([^"]*)",', re.M)
# How the bindings read what nobody can set, and what it is then.
READ = [("getNumber", "number"), ("getBoolean", "bool"), ("getList", ["list", "string"]),
        ("StringMap", ["map", "string"]), ("BooleanMap", ["map", "bool"]), ("getString", "string")]
SET = {"stringList": "string", "numberList": "number", "stringMap": "string", "booleanMap": "bool"}


def source(library, kind, name):
    folder = ("data-aws-" if kind == "data" else "") + name.removeprefix("aws_").replace("_", "-")
    text = (library / folder / "index.js").read_text()
    map64 = re.search(r"sourceMappingURL=data:application/json;base64,(\S+)", text)[1]
    return json.loads(base64.b64decode(map64))["sourcesContent"][0]


def of(library, kind, name):
    """Attributes and blocks of one resource or data source."""
    text = source(library, kind, name)
    parts = CLASS.split(text)
    classes = dict(zip(parts[1::2], parts[2::2]))
    structs = {one[1][0].upper() + one[1][1:]: one[2] for one in FUNCTION.finditer(text)}
    main = [one for one, body in classes.items()
            if re.match(r"cdktf\.Terraform(Resource|DataSource) ", body)]
    body = classes[main[0]]

    def block(flags, members):
        members = {one[1]: one.groups()[1:] for one in MEMBER.finditer(members)}
        found = {"attributes": {}, "blocks": {}}
        for name, computed, optional, required, read in FLAGS.findall(flags):
            flag = {"computed": computed == "true", "optional": optional == "true",
                    "required": required == "true"}
            value, is_block, sort, stored = members.get(name, ("", "false", "", ""))
            if is_block == "true":
                inner = re.sub(r"(List|OutputReference)$", "", stored)
                many = "listMapper" in value
                found["blocks"][name] = {
                    "nesting": {"struct": "single"}.get(sort, sort), "required": flag["required"],
                    "most": 0 if many or sort == "struct" else 1,
                    **block(classes[inner + "OutputReference"], structs[inner])}
            else:
                found["attributes"][name] = {"type": attribute(sort, stored, read), **flag}
        return found

    return block(body, body[body.index("synthesizeHclAttributes"):])


def attribute(sort, stored, read):
    """A type, as Terraform writes it in JSON."""
    match sort:
        case "simple":
            return {"boolean": "bool"}.get(stored, stored)
        case "list" | "set":
            return [sort, SET[stored]]
        case "map":
            return ["map", SET[stored]]
    # What has no list of its own is read as a list of objects, of which nothing here is used.
    return next((sort for name, sort in READ if name in read), "dynamic")
