import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import javax.servlet.DispatcherType;
import javax.servlet.MultipartConfigElement;
import javax.servlet.ServletRegistration;
import javax.servlet.http.HttpServletRequest;
import org.springframework.beans.factory.support.RootBeanDefinition;
import org.springframework.http.ResponseEntity;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.context.support.GenericWebApplicationContext;
import org.springframework.web.filter.HiddenHttpMethodFilter;
import org.springframework.web.multipart.support.StandardServletMultipartResolver;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

/** Spring MVC in Tomcat or Jetty, with Spring's own filter for the hidden field `_method`. */
public class Clinic {
    static final ObjectMapper JSON = new ObjectMapper();

    @Controller
    public static class Pages {
        @RequestMapping(path = "/", method = {RequestMethod.GET, RequestMethod.POST})
        public ResponseEntity<String> root(HttpServletRequest request, @RequestParam(required = false) String clinic) throws Exception {
            return executed("root", request, null, clinic);
        }

        @RequestMapping(path = "/open/**", method = {RequestMethod.GET, RequestMethod.POST})
        public ResponseEntity<String> open(HttpServletRequest request, @RequestParam(required = false) String clinic) throws Exception {
            return executed("open", request, null, clinic);
        }

        @RequestMapping({"/admin", "/admin/users"})
        public ResponseEntity<String> admin(HttpServletRequest request, @RequestParam(required = false) String clinic) throws Exception {
            return executed("admin", request, null, clinic);
        }

        @RequestMapping(path = "/items", method = RequestMethod.GET)
        public ResponseEntity<String> list(HttpServletRequest request, @RequestParam(required = false) String clinic) throws Exception {
            return executed("list", request, null, clinic);
        }

        @RequestMapping(path = "/items/{id}")
        public ResponseEntity<String> item(HttpServletRequest request, @PathVariable("id") String id,
                @RequestParam(required = false) String clinic) throws Exception {
            Map<String, String> names = new HashMap<>();
            names.put("POST", "update");
            names.put("PUT", "replace");
            names.put("DELETE", "remove");
            return executed(names.getOrDefault(request.getMethod(), "show"), request, id, clinic);
        }

        @RequestMapping(path = "/items/{id}/delete", method = {RequestMethod.POST, RequestMethod.DELETE})
        public ResponseEntity<String> delete(HttpServletRequest request, @PathVariable("id") String id,
                @RequestParam(required = false) String clinic) throws Exception {
            return executed("delete", request, id, clinic);
        }

        private static Object header(HttpServletRequest request, String name) {
            return Collections.list(request.getHeaders(name));
        }

        private ResponseEntity<String> executed(String handler, HttpServletRequest request, String id, String clinic) throws Exception {
            // A servlet container knows one set of parameters, made of the query and the form.
            Map<String, Object> write = new HashMap<>();
            write.put("handler", handler);
            write.put("method", request.getMethod());
            write.put("path", request.getServletPath() + "|" + request.getPathInfo());
            write.put("id", id);
            String[] every = request.getParameterValues("clinic");
            boolean form = !request.getMethod().equals("GET") && !request.getMethod().equals("HEAD");
            write.put(form ? "merged" : "query", Arrays.asList(clinic, every == null ? null : String.join("|", every)));
            write.put("clinic", header(request, "X-Clinic"));
            write.put("tenant", header(request, "X-Tenant-Id"));
            write.put("user", Arrays.asList(request.getHeader("X-User-Id"), request.getRemoteUser()));
            write.put("roles", header(request, "X-User-Roles"));
            byte[] line = (JSON.writeValueAsString(write) + "\n").getBytes("UTF-8");
            Files.write(Paths.get(System.getenv("EXECUTED")), line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            return ResponseEntity.ok("done\n");
        }
    }

    /** What `@EnableWebMvc` sets up, by hand: Debian's Spring cannot write classes at run time. */
    static DispatcherServlet servlet() {
        GenericWebApplicationContext context = new GenericWebApplicationContext();
        context.registerBeanDefinition("pages", new RootBeanDefinition(Pages.class));
        context.registerBeanDefinition("mapping", new RootBeanDefinition(RequestMappingHandlerMapping.class));
        context.registerBeanDefinition("adapter", new RootBeanDefinition(RequestMappingHandlerAdapter.class));
        context.registerBeanDefinition("multipartResolver", new RootBeanDefinition(StandardServletMultipartResolver.class));
        return new DispatcherServlet(context);
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(System.getenv("PORT"));
        String folder = System.getenv("FOLDER");
        if (arguments[0].equals("tomcat")) {
            InTomcat.start(port, folder);
        } else {
            InJetty.start(port, folder);
        }
    }

    /** Classes of their own, so that only the container that is asked for has to be there. */
    static class InTomcat {
        static void start(int port, String folder) throws Exception {
            org.apache.catalina.startup.Tomcat tomcat = new org.apache.catalina.startup.Tomcat();
            tomcat.setBaseDir(folder);
            tomcat.setPort(port);
            tomcat.getConnector().setProperty("address", "127.0.0.1");
            org.apache.catalina.Context site = tomcat.addContext("", new File(folder).getAbsolutePath());
            org.apache.catalina.Wrapper wrapper = org.apache.catalina.startup.Tomcat.addServlet(site, "app", servlet());
            wrapper.setMultipartConfigElement(new MultipartConfigElement(folder));
            wrapper.setLoadOnStartup(1);
            site.addServletMappingDecoded("/", "app");
            org.apache.tomcat.util.descriptor.web.FilterDef filter = new org.apache.tomcat.util.descriptor.web.FilterDef();
            filter.setFilterName("method");
            filter.setFilter(new HiddenHttpMethodFilter());
            site.addFilterDef(filter);
            org.apache.tomcat.util.descriptor.web.FilterMap map = new org.apache.tomcat.util.descriptor.web.FilterMap();
            map.setFilterName("method");
            map.addURLPattern("/*");
            site.addFilterMap(map);
            tomcat.start();
            tomcat.getServer().await();
        }
    }

    static class InJetty {
        static void start(int port, String folder) throws Exception {
            org.eclipse.jetty.server.Server server = new org.eclipse.jetty.server.Server(new java.net.InetSocketAddress("127.0.0.1", port));
            org.eclipse.jetty.servlet.ServletContextHandler site = new org.eclipse.jetty.servlet.ServletContextHandler();
            site.setContextPath("/");
            org.eclipse.jetty.servlet.ServletHolder holder = new org.eclipse.jetty.servlet.ServletHolder(servlet());
            holder.getRegistration().setMultipartConfig(new MultipartConfigElement(folder));
            holder.setInitOrder(1);
            site.addServlet(holder, "/");
            site.addFilter(HiddenHttpMethodFilter.class, "/*", EnumSet.of(DispatcherType.REQUEST));
            server.setHandler(site);
            server.start();
            server.join();
        }
    }
}
