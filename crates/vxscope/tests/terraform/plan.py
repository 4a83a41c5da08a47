"""Has Terraform itself judge the module in packaging/terraform against the AWS provider's schema,
without registry and account. Takes terraform, npm, and `pip install grpcio-tools msgpack`."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import schema

HERE = pathlib.Path(__file__).parent
MODULE = HERE.parent.parent / "packaging" / "terraform"
# Bindings, and the provider that they were made from: the last 5 and a 6.
VERSIONS = {"19.65.1": "5.99.1", "21.22.1": "6.25.0"}
GIVEN = ["ami_id=ami-1", "package_url=https://a/b.deb", "traffic_subnet_id=subnet-1",
         'source_cidrs=["10.0.0.0/8"]']
# Variables, and how many resources there are with them.
PLANS = [([], 11), (["load_balancer=true"], 15), (["controller_role=true"], 14), (["reaper=true"], 15),
         (["load_balancer=true", "controller_role=true", "reaper=true",
           'management_cidrs=["10.9.0.0/16"]', "management_subnet_id=subnet-2"], 22)]
# Mistakes that must be found: what stands there, and what is written instead.
MISTAKES = [("http_tokens ", "http_token "), ("network_services", "network_service"),
            ("target_group_arn = aws_lb_target_group", "target_group = aws_lb_target_group"),
            ('"aws_lb_listener"', '"aws_lb_listeners"'), ("var.disk_gib", "var.disk"),
            ("device_index         = 1", "device_index = [1]")]


def bindings(version, folder):
    """The library of that version of the bindings."""
    package = f"@cdktf/provider-aws@{version}"
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    with tarfile.open(folder / f"cdktf-provider-aws-{version}.tgz") as archive:
        names = {("data-aws-" if kind == "data" else "") + name.replace("_", "-")
                 for kind, name in used()}
        wanted = {f"package/lib/{name}/index.js" for name in names}
        archive.extractall(folder / version, [one for one in archive if one.name in wanted],
                           filter="data")
    return folder / version / "package" / "lib"


def used():
    text = (MODULE / "main.tf").read_text()
    return set(re.findall(r'^(resource|data) "aws_(\w+)"', text, re.M))


def terraform(folder, *arguments):
    run = subprocess.run(["terraform", *arguments, "-no-color"], cwd=folder, text=True,
                         capture_output=True, check=False)
    return run.returncode, run.stdout + run.stderr


def judge(version, folder):
    import provider
    library = bindings(version, folder)
    schemas = {"resource": {}, "data": {}}
    for kind, name in used():
        schemas[kind][f"aws_{name}"] = schema.of(library, kind, f"aws_{name}")
    server, os.environ["TF_REATTACH_PROVIDERS"] = provider.serve(schemas)
    module = folder / f"module-{version}"
    shutil.copytree(MODULE, module)
    for command in [["fmt", "-check"], ["init", "-backend=false"], ["validate"]]:
        code, said = terraform(module, *command)
        assert code == 0, said
    for variables, resources in PLANS:
        options = [part for one in GIVEN + variables for part in ("-var", one)]
        code, said = terraform(module, "plan", "-input=false", "-refresh=false", *options)
        assert code == 0 and f"Plan: {resources} to add" in said, said
    text = (module / "main.tf").read_text()
    for right, wrong in MISTAKES:
        assert right in text, right
        (module / "main.tf").write_text(text.replace(right, wrong, 1))
        code, said = terraform(module, "validate")
        assert code != 0, f"{wrong} was not found"
    server.stop(None)
    print(f"provider {VERSIONS[version]}: valid, {len(PLANS)} plans, "
          f"{len(MISTAKES)} mistakes found")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{HERE}", f"--python_out={folder}",
                        f"--grpc_python_out={folder}", "tfplugin5.proto"], check=True)
        sys.path[:0] = [str(folder), str(HERE)]
        for version in VERSIONS:
            judge(version, folder)


main()
