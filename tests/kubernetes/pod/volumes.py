"""The volumes of a pod as a kubelet lays them out: `..data` swapped in one step, owners and modes as `fsGroup` says."""

import base64
import os
import shutil
import tempfile


class Volumes:
    """Folders on the host, one for each volume of the pod; `claims` is where claimed ones outlive it."""

    def __init__(self, folder, spec, objects, claims=None, templates=()):
        self.folder, self.objects, self.claims = folder, objects, claims
        self.volumes = {one["name"]: one for one in spec.get("volumes", [])}
        for one in templates:  # of a StatefulSet: a claim for each pod, by its name
            name = one["metadata"]["name"]
            self.volumes[name] = {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{os.path.basename(folder)}"}}
        self.group = spec.get("securityContext", {}).get("fsGroup")

    def path(self, name):
        volume = self.volumes[name]
        if "persistentVolumeClaim" in volume:
            return os.path.join(self.claims, volume["persistentVolumeClaim"]["claimName"])
        return os.path.join(self.folder, name)

    def write(self, first=True):
        """Writes all of them, later those alone whose contents can change."""
        for name, volume in self.volumes.items():
            sources = volume.get("projected", {}).get("sources") or [volume]
            named = [source for source in map(self.source, sources) if source]
            if named:
                files = {}
                for kind, object_name, source in named:
                    files.update(self.contents(kind, object_name, source))
                mode = named[0][2].get("defaultMode", volume.get("projected", {}).get("defaultMode", 0o644))
                self.swap(self.path(name), files, mode)
            elif first:
                self.scratch(self.path(name))

    @staticmethod
    def source(source):
        if "configMap" in source:
            return "ConfigMap", source["configMap"]["name"], source["configMap"]
        if "secret" in source:
            return "Secret", source["secret"].get("secretName") or source["secret"]["name"], source["secret"]
        return None

    def contents(self, kind, name, source):
        found = next((one for one in self.objects if one["kind"] == kind and one["metadata"]["name"] == name), None)
        if found is None:
            if source.get("optional"):
                return {}
            raise FileNotFoundError(f'FailedMount: {kind} "{name}" not found')
        plain = {key: value.encode() for key, value in found.get("stringData" if kind == "Secret" else "data", {}).items()}
        coded = found.get("data" if kind == "Secret" else "binaryData", {})
        files = {**{key: base64.b64decode(value) for key, value in coded.items()}, **plain}
        if "items" in source:
            return {item["path"]: files[item["key"]] for item in source["items"]}
        return files

    def swap(self, folder, files, mode):
        """The kubelet's AtomicWriter: a new folder, links to it through `..data`, and one rename."""
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o2777 if self.group else 0o777)
        new = tempfile.mkdtemp(prefix="..2026_", dir=folder)
        os.chmod(new, 0o755)
        for name, contents in files.items():
            with open(os.path.join(new, name), "wb") as file:
                file.write(contents)
            os.chown(file.name, 0, self.group or 0)
            os.chmod(file.name, mode | (0o440 if self.group else 0))
        data = os.path.join(folder, "..data")
        old = os.path.realpath(data) if os.path.islink(data) else None
        os.symlink(os.path.basename(new), f"{data}_tmp")
        os.rename(f"{data}_tmp", data)
        for name in files:
            if not os.path.islink(link := os.path.join(folder, name)):
                os.symlink(os.path.join("..data", name), link)
        for name in os.listdir(folder):
            if not name.startswith("..") and name not in files:
                os.unlink(os.path.join(folder, name))
        if old:
            shutil.rmtree(old)

    def scratch(self, folder):
        os.makedirs(folder, exist_ok=True)
        os.chown(folder, 0, self.group or 0)
        os.chmod(folder, 0o2777 if self.group else 0o777)
