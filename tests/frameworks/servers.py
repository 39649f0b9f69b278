"""The frameworks: what each needs, and how it is started. Packages come by name from the system, PyPI and npm, and are
installed into the system or into $APPS_CACHE, never into the repository."""

import glob
import os
import shutil
import subprocess

import packages as packaged
from gate import free_port, until
from packages import quietly, system

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = f"{HERE}/apps"
HOME = f"{packaged.CACHE}/frameworks"
JARS = "/usr/share/java"
TOMCAT = ("catalina", "coyote", "util", "util-scan", "juli", "api", "annotations-api", "el-api", "jaspic-api", "jni", "servlet-api", "jsp-api", "jasper", "jasper-el")
JETTY = ("server", "servlet", "http", "io", "util", "util-ajax", "security")
SPRING = ("core", "beans", "aop", "context", "expression", "web", "web.servlet")


def python(module, *packages):
    """The environment of the Python frameworks, with these packages in it."""
    return packaged.python(f"{HOME}/py", module, *packages)


def version(binary, package):
    return quietly(binary, "-c", f"import importlib.metadata as m; print(m.version('{package}'))").strip()


def debian(package):
    return quietly("dpkg-query", "-W", "-f", "${Version}", package).split(":")[-1].split("+")[0].split("-")[0]


class Server:
    """A framework that listens: what it is called, where, and which policy file it needs besides."""

    def __init__(self, title, port, policy=None):
        self.title, self.port, self.policy = title, port, policy


def django(place, env):
    binary = python("django, gunicorn", "django", "gunicorn")
    return gunicorn(place, env, binary, "django", f"Django {version(binary, 'django')} (gunicorn)")


def flask(place, env):
    binary = python("flask, gunicorn", "flask", "gunicorn")
    return gunicorn(place, env, binary, "flask", f"Flask {version(binary, 'flask')} (gunicorn)")


def gunicorn(place, env, binary, folder, title):
    port = free_port()
    place.serve("app", port, [binary, "-m", "gunicorn", "--workers", "1", "--threads", "2", "--bind", f"127.0.0.1:{port}", "--no-control-socket",
                              "app:application"] if gunicorn_controls(binary) else
                [binary, "-m", "gunicorn", "--workers", "1", "--threads", "2", "--bind", f"127.0.0.1:{port}", "app:application"],
                {**env, "PYTHONPATH": f"{APPS}/{folder}", "PYTHONDONTWRITEBYTECODE": "1"})
    return Server(title, port)


def gunicorn_controls(binary):
    return "--no-control-socket" in quietly(binary, "-m", "gunicorn", "--help")


def fastapi(place, env):
    binary = python("fastapi, uvicorn, python_multipart", "fastapi", "uvicorn", "python-multipart")
    port = free_port()
    place.serve("app", port, [binary, "-m", "uvicorn", "--port", str(port), "--log-level", "warning", "app:application"],
                {**env, "PYTHONPATH": f"{APPS}/fastapi", "PYTHONDONTWRITEBYTECODE": "1"})
    return Server(f"FastAPI {version(binary, 'fastapi')} (uvicorn)", port)


def node():
    if not shutil.which("node"):
        system("/usr/bin/node", "nodejs")
    return quietly("node", "--version").strip().lstrip("v")


def express(place, env):
    node()
    modules = f"{HOME}/node"
    if not os.path.isdir(f"{modules}/node_modules/method-override"):
        if not shutil.which("npm"):
            system("/usr/bin/npm", "npm")
        os.makedirs(modules, exist_ok=True)
        print(f"installing express body-parser method-override into {modules}", flush=True)
        quietly("npm", "install", "--no-audit", "--no-fund", "--prefix", modules, "express", "body-parser", "method-override")
    port = free_port()
    place.serve("app", port, ["node", f"{APPS}/express/app.js"], {**env, "PORT": str(port), "NODE_PATH": f"{modules}/node_modules"})
    with open(f"{modules}/node_modules/express/package.json") as file:
        found = file.read().split('"version": "')[1].split('"')[0]
    return Server(f"Express {found} (qs, method-override)", port)


def plain_node(place, env):
    found = node()
    port = free_port()
    place.serve("app", port, ["node", f"{APPS}/node/app.js"], {**env, "PORT": str(port)})
    return Server(f"Node {found}, plain `http`", port)


def php_version():
    return quietly("php", "-r", "echo PHP_VERSION;")


def php(place, env):
    system("/usr/bin/php", "php-cli")
    port = free_port()
    place.serve("app", port, ["php", "-S", f"127.0.0.1:{port}", "-t", f"{APPS}/php"], env)
    return Server(f"PHP {php_version()}, built-in server", port, "php")


def php_fpm(place, env):
    system("/usr/bin/php", "php-cli")
    port = fpm(place, env, "php")
    return Server(f"PHP {php_version()}, php-fpm behind nginx", port, "php")


def fpm(place, env, folder):
    """php-fpm on a socket of its own, and nginx before it."""
    system("/usr/sbin/php-fpm*", "php-fpm")
    system("/usr/sbin/nginx", "nginx-light")
    port = free_port()
    # Not under the place itself, which only its owner may enter: nginx and php-fpm step down to another user.
    with open(f"{APPS}/nginx.conf") as file:
        text = file.read().replace("@FOLDER@", place.folder).replace("@PORT@", str(port)).replace("@ROOT@", f"{APPS}/{folder}")
    with open(place.path("nginx.conf"), "w") as file:
        file.write(("user root;\n" if os.getuid() == 0 else "") + text)
    with open(place.path("fpm.conf"), "w") as file:
        file.write(f"[global]\nerror_log = {place.path('fpm-error.log')}\ndaemonize = no\n[app]\nlisten = {place.path('fpm.sock')}\n"
                   "pm = static\npm.max_children = 2\nclear_env = no\n" + ("user = root\ngroup = root\n" if os.getuid() == 0 else ""))
    place.start("fpm", [sorted(glob.glob("/usr/sbin/php-fpm*"))[-1], "--fpm-config", place.path("fpm.conf"), *(["-R"] if os.getuid() == 0 else [])], env)
    until("php-fpm to listen", lambda: os.path.exists(place.path("fpm.sock")))
    place.serve("nginx", port, ["/usr/sbin/nginx", "-e", place.path("nginx-error.log"), "-c", place.path("nginx.conf")])
    return port


def laravel(place, env):
    system("/usr/bin/php", "php-cli")
    system("/usr/share/php/Illuminate/Routing/Router.php", "php-laravel-framework", "php-mbstring", "php-xml")
    return Server(f"Laravel {debian('php-laravel-framework')} (php-fpm behind nginx)", fpm(place, env, "laravel"))


def rails(place, env):
    # Debian's `rails` itself wants a browser's tools; these two are the framework.
    system("/usr/bin/puma", "ruby-railties", "ruby-actionpack", "puma")
    system("/usr/share/rubygems-integration/all/specifications/railties-*", "ruby-railties", "ruby-actionpack")
    port = free_port()
    place.serve("app", port, ["puma", "--bind", f"tcp://127.0.0.1:{port}", "--threads", "2:2", "--environment", "production", f"{APPS}/rails/config.ru"],
                {**env, "RAILS_ENV": "production", "HOME": place.folder})
    return Server(f"Rails {debian('ruby-railties')} (Puma)", port)


def spring(place, env, container, names):
    system("/usr/bin/javac", "default-jdk-headless")
    system(f"{JARS}/spring3-web.servlet.jar", "libspring-web-servlet-java")
    system(f"{JARS}/tomcat9-catalina.jar", "libtomcat9-java")
    system(f"{JARS}/jetty9-server.jar", "libjetty9-java")
    system(f"{JARS}/jackson-databind.jar", "libjackson2-databind-java")
    jars = [f"{JARS}/spring3-{name}.jar" for name in SPRING] + [f"{JARS}/{name}.jar" for name in ("commons-logging", "jackson-core", "jackson-databind", "jackson-annotations")]
    every = jars + [f"{JARS}/tomcat9-{name}.jar" for name in TOMCAT] + [f"{JARS}/jetty9-{name}.jar" for name in JETTY]
    # Spring 4 reads class files, and none newer than those of Java 8.
    quietly("javac", "-nowarn", "--release", "8", "-parameters", "-d", place.path("classes"), "-cp", ":".join(every), f"{APPS}/spring/Clinic.java")
    port = free_port()
    path = ":".join([place.path("classes"), *jars, *names])
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.lang", "java.io", "java.util")]
    place.serve("app", port, ["java", "-Xmx128m", *opened, "-cp", path, "Clinic", container],
                {**env, "PORT": str(port), "FOLDER": place.folder})
    return port


def spring_tomcat(place, env):
    port = spring(place, env, "tomcat", [f"{JARS}/tomcat9-{name}.jar" for name in TOMCAT])
    return Server(f"Spring MVC {debian('libspring-web-servlet-java')} (Tomcat {debian('libtomcat9-java')})", port)


def spring_jetty(place, env):
    port = spring(place, env, "jetty", [f"{JARS}/jetty9-{name}.jar" for name in JETTY] + [f"{JARS}/tomcat9-servlet-api.jar"])
    return Server(f"Spring MVC {debian('libspring-web-servlet-java')} (Jetty {debian('libjetty9-java')})", port)


EVERY = {
    "django": django, "flask": flask, "express": express, "php": php,
    "fastapi": fastapi, "node": plain_node, "php-fpm": php_fpm, "laravel": laravel, "rails": rails,
    "spring-tomcat": spring_tomcat, "spring-jetty": spring_jetty,
}
QUICK = ("django", "flask", "express", "php")
