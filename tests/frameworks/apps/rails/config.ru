# frozen_string_literal: true

# A Rails application in one file, with the middleware that Rails brings along by itself (Rack::MethodOverride among it).
require "json"
require "logger"
require "action_controller/railtie"

class Clinic < Rails::Application
  config.eager_load = false
  config.secret_key_base = "of-a-test"
  config.hosts.clear
  config.consider_all_requests_local = false
  config.logger = Logger.new($stderr)
  config.log_level = :warn
  config.load_defaults 6.1

  routes.append do
    root to: "pages#root", via: :all
    match "/open/*rest", to: "pages#open", via: %i[get post]
    match "/admin", to: "pages#admin", via: %i[get post put delete]
    match "/admin/*rest", to: "pages#admin", via: %i[get post put delete]
    get "/items", to: "pages#list"
    get "/items/:id", to: "pages#show"
    post "/items/:id", to: "pages#update"
    put "/items/:id", to: "pages#replace"
    delete "/items/:id", to: "pages#remove"
    match "/items/:id/delete", to: "pages#delete", via: %i[post delete]
  end
end

Clinic.initialize!

class PagesController < ActionController::Base
  skip_forgery_protection # as applications do for what is asked by tokens

  %w[root open admin list show update replace remove delete].each do |name|
    define_method(name) do
      write = {
        handler: name, method: request.method, path: request.path, id: params[:id],
        query: [request.query_parameters["clinic"]], merged: [params[:clinic].is_a?(ActionController::Parameters) ? "an object" : params[:clinic]],
        clinic: [request.headers["X-Clinic"]], tenant: [request.headers["X-Tenant-Id"]],
        user: [request.headers["X-User-Id"], request.headers["REMOTE_USER"]], roles: [request.headers["X-User-Roles"]]
      }
      File.write(ENV.fetch("EXECUTED"), "#{JSON.generate(write)}\n", mode: "a")
      render plain: "done\n"
    end
  end
end

run Clinic
